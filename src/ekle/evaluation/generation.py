"""What a model says when it is asked to go on: once as it thinks likeliest, and often by chance."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from ekle.model.batches import in_batches
from ekle.model.bits_per_byte import encode, start_id
from ekle.model.sampling import draw_continuations
from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation

_AT_ONCE = 32  # continuations in one batch, to begin with


def generate_samples(
    model: Any, tokenizer: Any, settings: Evaluation, report: Report
) -> list[dict[str, Any]]:
    """Continue each prompt greedily, so that the same model always says the same.

    Returns:
        A prompt's `prompt`, `text` (the continuation alone), `tokens` and `characters`.
    """
    samples: list[dict[str, Any]] = []
    end = tokenizer.eos_token_id
    # A configuration of our own, because the model's may ask for sampling.
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=settings.new_tokens,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end,
    )
    with report.task("samples", total=len(settings.prompts), unit="prompts") as task:
        for prompt in settings.prompts:
            ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
            ids = ids.to(model.device)
            with torch.inference_mode():
                output = model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=greedy
                )
            spoken = output[0, ids.shape[1] :].tolist()
            text = tokenizer.decode(spoken, skip_special_tokens=True)
            samples.append({"prompt": prompt, "text": text, "tokens": len(spoken), "characters": len(text)})
            task.advance()
    return samples


def draw_samples(model: Any, tokenizer: Any, settings: Evaluation, report: Report) -> list[dict[str, Any]]:
    """Continue each prompt `evaluation.samples` times by chance, with a seed that depends on the prompt.

    Returns:
        A sample's `prompt`, `text` (the continuation alone), `tokens`, and `ended`: whether it came to its
        own end before `evaluation.sample_tokens`.

    Raises:
        CheckpointError: the device has no memory for one of them.
    """
    drawn: list[dict[str, Any]] = []
    ends = {tokenizer.eos_token_id, start_id(tokenizer)}
    devices = [model.device] if model.device.type == "cuda" else []
    with (
        report.task("drawn samples", len(settings.prompts), "prompts") as task,
        torch.random.fork_rng(devices),
    ):
        for number, prompt in enumerate(settings.prompts):
            torch.manual_seed(settings.seed + number)
            drawn += [
                {
                    "prompt": prompt,
                    "text": tokenizer.decode(spoken, skip_special_tokens=True),
                    "tokens": len(spoken),
                    "ended": spoken[-1] in ends,
                }
                for spoken in _draw(model, encode(tokenizer, prompt), ends, settings)
            ]
            task.advance()
    return drawn


def _draw(model: Any, prompt: list[int], ends: Collection[int], settings: Evaluation) -> Iterator[list[int]]:
    def work(batch: Sequence[int]) -> list[list[int]]:
        return draw_continuations(
            model,
            prompt,
            len(batch),
            settings.sample_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            ends=ends,
        )

    return in_batches(range(settings.samples), _AT_ONCE, work, "evaluation.sample_tokens")
