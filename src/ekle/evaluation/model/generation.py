"""What a model writes: greedy continuations of a few prompts, and sampled continuations of many."""

from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

import torch
from transformers import GenerationConfig

from ekle.artifacts.evaluation_report import GreedySample
from ekle.bpe.measure import split_lines
from ekle.evaluation.model.generated_text import Sample
from ekle.evaluation.texts import sample_documents
from ekle.model.encoding import bos_ids, encode, prefix_token_id
from ekle.model.scoring.batches import in_batches
from ekle.model.scoring.sampling import sample_continuations
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

_BATCH_SIZE = 32  # continuations in one batch, to begin with
_WORDS = 5  # of a line, which make a prompt


def generate_greedy(
    model: Any, tokenizer: Any, settings: EvaluationSettings, reporter: ProgressReporter
) -> list[GreedySample]:
    """Continue each prompt greedily, so that the same model always writes the same.

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

    def work(prompts: Sequence[str]) -> list[GreedySample]:
        (prompt,) = prompts  # alone: in a batch, rounding would depend on the other prompts
        ids = torch.tensor([_ids(tokenizer, prompt)], device=model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=greedy
            )
        spoken = output[0, ids.shape[1] :].tolist()
        text = tokenizer.decode(spoken, skip_special_tokens=True)
        return [GreedySample(prompt=prompt, text=text, tokens=len(spoken), characters=len(text))]

    samples = []
    with reporter.task("samples", total=len(settings.prompts), unit="prompts") as task:
        for sample in in_batches(settings.prompts, 1, work, "evaluation.new_tokens"):
            samples.append(sample)
            task.advance()
    return samples


def choose_prompts(texts: Mapping[str, Sequence[str]], settings: EvaluationSettings) -> list[str]:
    """Different prompts for sampling: `evaluation.prompts`, then the first five words of longer lines of
    `texts`, from each text in turn, until there are `evaluation.samples`."""
    beginnings = (
        [
            " ".join(words[:_WORDS])
            for line in sample_documents(split_lines(documents), 2**62, settings.seed)
            if len(words := line.split()) > _WORDS
        ]
        for documents in texts.values()
    )
    in_turn = (one for turn in zip_longest(*beginnings) for one in turn if one is not None)
    return list(islice(dict.fromkeys([*settings.prompts, *in_turn]), settings.samples))


def generate_sampled(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> list[Sample]:
    """Sample one continuation of each of `prompts`; the seed affects no other random number.

    Raises:
        DeviceMemoryError: the device has no memory for one of them.
    """
    stop_ids = {tokenizer.eos_token_id, prefix_token_id(tokenizer)}

    def work(batch: Sequence[str]) -> list[Sample]:
        drawn = sample_continuations(
            model,
            [_ids(tokenizer, prompt) for prompt in batch],
            settings.sample_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            stop_ids=stop_ids,
        )
        return [
            Sample(
                prompt=prompt,
                text=tokenizer.decode(spoken, skip_special_tokens=True),
                tokens=len(spoken),
                ended=spoken[-1] in stop_ids,
            )
            for prompt, spoken in zip(batch, drawn, strict=True)
        ]

    samples = []
    devices = [model.device] if model.device.type == "cuda" else []
    with reporter.task("sampled text", len(prompts), "prompts") as task, torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        for sample in in_batches(prompts, _BATCH_SIZE, work, "evaluation.sample_tokens"):
            samples.append(sample)
            task.advance()
    return samples


def _ids(tokenizer: Any, prompt: str) -> list[int]:
    return [*bos_ids(tokenizer), *encode(tokenizer, prompt)]
