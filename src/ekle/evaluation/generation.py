"""What a model says when it is asked to go on: once as it thinks likeliest, and often by chance."""

from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

import torch
from transformers import GenerationConfig

from ekle.bpe.measure import split_lines
from ekle.evaluation.texts import draw
from ekle.model.batches import in_batches
from ekle.model.bits_per_byte import encode, opening, start_id
from ekle.model.sampling import draw_continuations
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation

_AT_ONCE = 32  # continuations in one batch, to begin with
_WORDS = 5  # of a line, which make a prompt


def generate_samples(
    model: Any, tokenizer: Any, settings: Evaluation, report: Report
) -> list[dict[str, Any]]:
    """Continue each prompt greedily, so that the same model always says the same.

    Returns:
        A prompt's `prompt`, `text` (the continuation alone), `tokens` and `characters`.

    Raises:
        DeviceMemoryError: the device has no memory for one of them.
    """
    end = tokenizer.eos_token_id
    # A configuration of our own, because the model's may ask for sampling.
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=settings.new_tokens,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end,
    )

    def work(prompts: Sequence[str]) -> list[dict[str, Any]]:
        (prompt,) = prompts  # alone, so that nothing beside it moves a rounding
        ids = torch.tensor([_ids(tokenizer, prompt)], device=model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=greedy
            )
        spoken = output[0, ids.shape[1] :].tolist()
        text = tokenizer.decode(spoken, skip_special_tokens=True)
        return [{"prompt": prompt, "text": text, "tokens": len(spoken), "characters": len(text)}]

    samples = []
    with report.task("samples", total=len(settings.prompts), unit="prompts") as task:
        for sample in in_batches(settings.prompts, 1, work, "evaluation.new_tokens"):
            samples.append(sample)
            task.advance()
    return samples


def choose_prompts(texts: Mapping[str, Sequence[str]], settings: Evaluation) -> list[str]:
    """What is continued by chance, all different: `evaluation.prompts`, then the first five words of longer
    lines of `texts`, drawn from each text in turn, until there are `evaluation.samples`."""
    beginnings = (
        [
            " ".join(words[:_WORDS])
            for line in draw(split_lines(documents), 2**62, settings.seed)
            if len(words := line.split()) > _WORDS
        ]
        for documents in texts.values()
    )
    in_turn = (one for turn in zip_longest(*beginnings) for one in turn if one is not None)
    return list(islice(dict.fromkeys([*settings.prompts, *in_turn]), settings.samples))


def draw_samples(
    model: Any, tokenizer: Any, prompts: Sequence[str], settings: Evaluation, report: Report
) -> list[dict[str, Any]]:
    """Continue each of `prompts` once by chance, from a seed that moves no other draw.

    Returns:
        A sample's `prompt`, `text` (the continuation alone), `tokens`, and `ended`: whether it came to its
        own end before `evaluation.sample_tokens`.

    Raises:
        DeviceMemoryError: the device has no memory for one of them.
    """
    ends = {tokenizer.eos_token_id, start_id(tokenizer)}

    def work(batch: Sequence[str]) -> list[dict[str, Any]]:
        drawn = draw_continuations(
            model,
            [_ids(tokenizer, prompt) for prompt in batch],
            settings.sample_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            ends=ends,
        )
        return [
            {
                "prompt": prompt,
                "text": tokenizer.decode(spoken, skip_special_tokens=True),
                "tokens": len(spoken),
                "ended": spoken[-1] in ends,
            }
            for prompt, spoken in zip(batch, drawn, strict=True)
        ]

    samples = []
    devices = [model.device] if model.device.type == "cuda" else []
    with report.task("drawn samples", len(prompts), "prompts") as task, torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        for sample in in_batches(prompts, _AT_ONCE, work, "evaluation.sample_tokens"):
            samples.append(sample)
            task.advance()
    return samples


def _ids(tokenizer: Any, prompt: str) -> list[int]:
    return [*opening(tokenizer), *encode(tokenizer, prompt)]
