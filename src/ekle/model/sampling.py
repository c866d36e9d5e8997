"""Text drawn from a model by chance, a batch of continuations of one prompt at a time."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

CANDIDATES = 1_000
"""The likeliest tokens that a draw looks at; sorting all 171,936 would take longer than the model itself."""


def draw_continuations(
    model: Any,
    prompt: list[int],
    count: int,
    tokens: int,
    *,
    temperature: float,
    top_p: float,
    ends: Collection[int] = (),
) -> list[list[int]]:
    """`count` continuations of a prompt, from torch's global random state of the model's device.

    Each token is drawn from the nucleus: the fewest likeliest tokens that together hold `top_p` of the
    probability (Holtzman et al. 2020), at most 1,000 of them.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        prompt: ids, at least one.
        count: continuations, drawn at once.
        tokens: length of each, at most.
        temperature: the scores are divided by it before they become probabilities.
        top_p: share of the probability, above 0 and at most 1.
        ends: ids at which a continuation is over; it has the one that ended it.
    """
    ids = torch.tensor([prompt] * count, device=model.device)
    over = torch.tensor(sorted(ends), dtype=torch.long, device=model.device)
    done = torch.zeros(count, dtype=torch.bool, device=model.device)
    drawn: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for _ in range(tokens):
            output = model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            scores = model.get_output_embeddings()(output.last_hidden_state[:, -1])
            ids = nucleus(scores.float() / temperature, top_p)
            drawn.append(ids)
            done |= torch.isin(ids[:, 0], over)
            if done.all():
                break
    return [_until(row, ends) for row in torch.cat(drawn, dim=1).tolist()]


def nucleus(scores: Tensor, top_p: float) -> Tensor:
    """One id a row (B, 1), drawn from the nucleus of the scores (B, V)."""
    best, ids = scores.topk(min(CANDIDATES, scores.shape[1]), dim=1)  # sorted, the likeliest first
    chances = (best - scores.logsumexp(dim=1, keepdim=True)).exp()
    before = chances.cumsum(dim=1) - chances
    before[:, 0] = 0.0  # the likeliest is always in it
    return ids.gather(1, torch.multinomial(chances * (before < top_p), 1))


def _until(ids: list[int], ends: Collection[int]) -> list[int]:
    """The ids up to the first of `ends`, which is kept."""
    return ids[: next((place + 1 for place, one in enumerate(ids) if one in ends), len(ids))]
