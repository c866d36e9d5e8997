"""What the base itself says about new tokens: counts of its tokens, and a minute of passes over text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ekle.bpe.encode import batches
from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.model.layers.hidden_states import captured_outputs, depth_to_layer, first_layers, with_prefix_token

_READ_AT_ONCE = 128
"""Sequences of a few tokens in one forward pass."""
_TEXTS_AT_ONCE = 4


@dataclass(frozen=True)
class TokenCounts:
    """How often each token occurs in a text.

    Attributes:
        base: (V,) by id of the base, where the base's tokenizer encodes the text.
        new: (N,) by new token, where the extended tokenizer does.
        text_bytes: bytes of the text.
    """

    base: Tensor
    new: Tensor
    text_bytes: int


def count_tokens(
    documents: Iterable[str],
    tokenizer_pair: TokenizerPair,
    first_new_id: int,
    new_tokens: int,
    advance: Callable[[float], None],
) -> TokenCounts:
    """Count the tokens of both tokenizers in `documents`.

    Args:
        documents: the text.
        tokenizer_pair: base and extended tokenizer.
        first_new_id: id of the first new token.
        new_tokens: N, how many there are.
        advance: receives the bytes read.
    """
    base = np.zeros(first_new_id, dtype=np.int64)
    new = np.zeros(first_new_id + new_tokens, dtype=np.int64)
    read = 0
    for texts in batches(documents):
        for counts, tokenizer in ((base, tokenizer_pair.base), (new, tokenizer_pair.new)):
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                np.add.at(counts, encoding.ids, 1)
        size = sum(len(text.encode()) for text in texts)
        advance(size)
        read += size
    return TokenCounts(torch.from_numpy(base), torch.from_numpy(new[first_new_id:]), read)


def log_shares(counts: TokenCounts, first_base_tokens: Tensor) -> Tensor:
    """(N,) float32: the log of the share of a new token among the places where its first base token begins.

    It is at most 0. Half an occurrence is added, so that a token that the text does not have gets a small
    share and not none.

    Args:
        counts: of a text.
        first_base_tokens: (N,) id of the first base token of each new token.
    """
    begun = counts.base[first_base_tokens].double() + 1.0
    return ((counts.new.double() + 0.5) / begun).clamp(max=1.0).log().float()


@torch.no_grad()
def readings(
    model: Any,
    sequences: Sequence[Sequence[int]],
    prefix_token: int,
    depths: Sequence[float],
    advance: Callable[[float], None],
) -> Tensor:
    """(depths, n, D) float32: the model's own reading of each sequence.

    It is the residual stream at the last token, after some of the layers, with nothing before the sequence
    but the prefix token. The lower layers of a model put the tokens of a word together there (Kaplan et al.
    2025, "From Tokens to Words: On the Inner Lexicon of LLMs").

    Args:
        model: a causal language model of transformers, on its device.
        sequences: n short sequences of ids, none empty.
        prefix_token: id of the token before each (`ekle.model.encoding.prefix_token_id`).
        depths: shares of the layers after which it is taken.
        advance: receives the number of sequences read.
    """
    device = model.get_input_embeddings().weight.device
    layers = [depth_to_layer(depth, model.config.num_hidden_layers) for depth in depths]
    lower = first_layers(model, max(layers))
    found = torch.empty(len(layers), len(sequences), model.config.hidden_size)
    by_length = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
    for start in range(0, len(by_length), _READ_AT_ONCE):
        places = by_length[start : start + _READ_AT_ONCE]
        ids, mask = with_prefix_token(
            [np.array(sequences[place], dtype=np.int64) for place in places], prefix_token, device
        )
        with captured_outputs([lower.layers[layer - 1] for layer in layers]) as outputs:
            lower(input_ids=ids, attention_mask=mask, use_cache=False)
        last, row = mask.sum(dim=1) - 1, torch.arange(len(places), device=device)
        for depth, states in enumerate(outputs):
            found[depth, places] = states[row, last].float().cpu()
        advance(len(places))
    return found


@torch.no_grad()
def last_states(model: Any, sequences: Tensor, advance: Callable[[float], None]) -> Tensor:
    """(B T, D) float32: last hidden states of the base over sequences (B, T) in its tokenization."""
    device, decoder = model.get_input_embeddings().weight.device, model.get_decoder()
    found = []
    for part in sequences.split(_TEXTS_AT_ONCE):
        found.append(
            decoder(input_ids=part.to(device), use_cache=False).last_hidden_state.flatten(0, 1).float()
        )
        advance(len(part))
    return torch.cat(found)
