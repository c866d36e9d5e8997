"""Text drawn from a model by chance, a batch of prompts at a time."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

CANDIDATES = 1_000
"""The likeliest tokens that a draw looks at; sorting all 171,936 would take longer than the model itself."""


def draw_continuations(
    model: Any,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    *,
    temperature: float,
    top_p: float,
    ends: Collection[int] = (),
) -> list[list[int]]:
    """A continuation of each prompt, from torch's global random state of the model's device.

    Each token is drawn from the nucleus: the fewest likeliest tokens that together hold `top_p` of the
    probability (Holtzman et al. 2020), at most 1,000 of them.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        prompts: ids, at least one each.
        tokens: length of each continuation, at most.
        temperature: the scores are divided by it before they become probabilities.
        top_p: share of the probability, above 0 and at most 1.
        ends: ids at which a continuation is over; it has the one that ended it.
    """
    width = max(map(len, prompts))
    # Padding stands on the left, so that all continuations begin at one place; it is not seen.
    ids = torch.tensor([[0] * (width - len(one)) + list(one) for one in prompts], device=model.device)
    seen = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts], device=model.device)
    places = (seen.cumsum(dim=1) - 1).clamp(min=0)
    over = torch.tensor(sorted(ends), dtype=torch.long, device=model.device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=model.device)
    drawn: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for _ in range(tokens):
            output = model.get_decoder()(
                input_ids=ids,
                attention_mask=seen,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            scores = model.get_output_embeddings()(output.last_hidden_state[:, -1])
            ids = nucleus(scores.float() / temperature, top_p)
            drawn.append(ids)
            done |= torch.isin(ids[:, 0], over)
            if done.all():
                break
            seen = torch.cat([seen, torch.ones_like(ids)], dim=1)
            places = places[:, -1:] + 1
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
