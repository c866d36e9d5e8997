"""Text sampled from a model, a batch of prompts at a time."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

TOP_K = 1_000
"""The likeliest tokens that a sample is taken from; sorting all 171,936 would take longer than the model."""


def sample_continuations(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    temperature: float,
    top_p: float,
    stop_ids: Collection[int] = (),
) -> list[list[int]]:
    """A sampled continuation of each prompt, by torch's global random state of the model's device.

    Each token is sampled from the nucleus: the fewest likeliest tokens that together hold `top_p` of the
    probability (Holtzman et al. 2020), at most 1,000 of them.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        prompts: token ids, at least one per prompt.
        max_new_tokens: largest length of a continuation.
        temperature: divides the logits before the softmax.
        top_p: share of the probability, above 0 and at most 1.
        stop_ids: ids that end a continuation; it contains the one that ended it.
    """
    width = max(map(len, prompts))
    # Padding is on the left, so that all continuations begin at one position; it is masked.
    ids = torch.tensor(
        [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device
    )
    attention_mask = torch.tensor(
        [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device
    )
    position_ids = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
    stop = torch.tensor(sorted(stop_ids), dtype=torch.long, device=model.device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=model.device)
    sampled: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for _ in range(max_new_tokens):
            output = model.get_decoder()(
                input_ids=ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            logits = model.get_output_embeddings()(output.last_hidden_state[:, -1])
            ids = sample_top_p(logits.float() / temperature, top_p)
            sampled.append(ids)
            done |= torch.isin(ids[:, 0], stop)
            if done.all():
                break
            attention_mask = torch.cat([attention_mask, torch.ones_like(ids)], dim=1)
            position_ids = position_ids[:, -1:] + 1
    return [_until(row, stop_ids) for row in torch.cat(sampled, dim=1).tolist()]


def sample_top_p(logits: Tensor, top_p: float) -> Tensor:
    """One id per row (B, 1), sampled from the nucleus of the logits (B, V)."""
    best, ids = logits.topk(min(TOP_K, logits.shape[1]), dim=1)  # sorted, the likeliest first
    probabilities = (best - logits.logsumexp(dim=1, keepdim=True)).exp()
    before = probabilities.cumsum(dim=1) - probabilities
    before[:, 0] = 0.0  # the likeliest is always in it
    return ids.gather(1, torch.multinomial(probabilities * (before < top_p), 1))


def _until(ids: list[int], stop_ids: Collection[int]) -> list[int]:
    """The ids up to the first of `stop_ids`, which is kept."""
    return ids[: next((place + 1 for place, each in enumerate(ids) if each in stop_ids), len(ids))]
