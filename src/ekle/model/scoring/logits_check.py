"""Whether a model's logits are its last hidden states times its output embeddings, and nothing else.

Losses, divergences and samples are computed from the last hidden states and the output embeddings, so that
logits exist only for a chunk of tokens. Some architectures change the logits further: Cohere and Granite
scale them, Gemma 2 caps them, Phi adds a bias. Such a model would get wrong figures, so it is refused.
"""

from typing import Any

import torch

from ekle.errors import CheckpointError
from ekle.model.encoding import encode

_TEXT = "Ankara Türkiye'nin başkentidir; en büyük şehri İstanbul'dur."
_FINE, _COARSE = 1e-4, 2e-2  # rounding of float32 and of half precision, relative to the largest logit


def check_logits(model: Any, tokenizer: Any) -> None:
    """Compare the model's own logits of a short text with hidden states times output embeddings.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        tokenizer: its tokenizer.

    Raises:
        CheckpointError: they differ by more than rounding.
    """
    head = model.get_output_embeddings()
    rows = head.weight
    # An id without a row is reported when text is measured.
    ids = torch.tensor([encode(tokenizer, _TEXT)], device=model.device).clamp(max=len(rows) - 1)
    with torch.inference_mode():
        expected = model(input_ids=ids, use_cache=False).logits.float()
        states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        found = (states @ rows.T).float()
    allowed = (_FINE if rows.dtype == torch.float32 else _COARSE) * expected.abs().max()
    # A bias of zeros makes no difference, but is refused all the same. NaN is reported when text is measured.
    if getattr(head, "bias", None) is not None or (found - expected).abs().max() > allowed:
        raise CheckpointError(
            f"{type(model).__name__} scales, caps or shifts its logits after the output embeddings, and "
            "ekle would measure it without that; leave this model out"
        )
