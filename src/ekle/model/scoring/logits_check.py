"""Whether a model's logits are its last states times its output rows, and nothing else.

Losses, divergences and draws take the last states and the output rows, so that logits exist for a chunk of
places alone. Some architectures do more to them: Cohere and Granite scale them, Gemma 2 caps them, Phi adds
a bias. The figures of such a model would be those of another one, so it is refused.
"""

from typing import Any

import torch

from ekle.errors import CheckpointError
from ekle.model.encoding import encode

_TEXT = "Ankara Türkiye'nin başkentidir; en büyük şehri İstanbul'dur."
_FINE, _COARSE = 1e-4, 2e-2  # rounding of float32 and of half precision, relative to the largest logit


def check_logits(model: Any, tokenizer: Any) -> None:
    """Hold the model's own logits of a short text against states times rows.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        tokenizer: its tokenizer.

    Raises:
        CheckpointError: they differ by more than rounding.
    """
    head = model.get_output_embeddings()
    rows = head.weight
    # An id without a row is reported where text is measured.
    ids = torch.tensor([encode(tokenizer, _TEXT)], device=model.device).clamp(max=len(rows) - 1)
    with torch.inference_mode():
        expected = model(input_ids=ids, use_cache=False).logits.float()
        states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        found = (states @ rows.T).float()
    allowed = (_FINE if rows.dtype == torch.float32 else _COARSE) * expected.abs().max()
    # A bias of zeros is no difference but still more than rows. NaN is reported where text is measured.
    if getattr(head, "bias", None) is not None or (found - expected).abs().max() > allowed:
        raise CheckpointError(
            f"{type(model).__name__} scales, caps or shifts its logits behind the output rows, and ekle "
            "would measure it without that; leave this model out"
        )
