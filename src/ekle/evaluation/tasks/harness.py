"""A task asked of a loaded model through lm-evaluation-harness (Gao et al., EleutherAI), without a network.

What the harness's model class does is not comparable across tokenizers in these points, so ours differs:

- The prompt and the answer are encoded separately, so no token holds parts of both. The harness encodes them
  as one text and takes what follows as many tokens as the prompt alone has. A token across the boundary would
  count for the wrong side.
- Probabilities are taken in float32, also where the model computes in bfloat16.
- No chat template: the prompts are plain text for every model. A BOS token is there only where the tokenizer
  itself adds one.
- The batch is `evaluation.batch_size`, never "auto", and is halved where the device lacks memory.
- Writing is greedy; the model's own generation settings (sampling, repetition penalty) are ignored.
- A prompt longer than the model's context loses its beginning, as in the harness. Such prompts are counted.
"""

import io
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from transformers import GenerationConfig

from ekle.artifacts.evaluation_report import Score
from ekle.errors import CheckpointError, DeviceMemoryError
from ekle.evaluation.tasks.files import Example, Task
from ekle.evaluation.tasks.scores import AnswerScores, score_answer
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

_ANSWER_TOKENS = 64  # of a written answer; an answer of XQuAD is a few words

# The harness's names of the scores, in the order of the report.
_SCORES: dict[str, Score] = {
    "acc": "accuracy",
    "acc_bytes": "accuracy_bytes",
    "exact_match": "exact_match",
    "f1": "f1",
}


def ask(
    model: Any, tokenizer: Any, task: Task, settings: EvaluationSettings, reporter: ProgressReporter
) -> AnswerScores:
    """What a model scores in `task`.

    Args:
        model: a causal language model of transformers, on its device.
        tokenizer: its tokenizer.

    Raises:
        CheckpointError: the model gives no finite probability.
        DeviceMemoryError: the device has no memory for one request.
    """
    size = settings.batch_size
    while True:
        try:
            return _ask(model, tokenizer, task, size, reporter)
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise DeviceMemoryError(
                    "the device has no memory for this; lower evaluation.task_shots"
                ) from error
            size //= 2
            torch.cuda.empty_cache()


def _ask(model: Any, tokenizer: Any, task: Task, size: int, reporter: ProgressReporter) -> AnswerScores:
    requests = sum(max(len(one.choices), 1) for one in task.asked)
    with reporter.task(f"task {task.name}", requests, "answers") as bar, _quiet(), _greedy(model):
        asked = HarnessModel(model, tokenizer, size)
        asked.set_cache_hook(_Bar(bar))
        found = evaluate(
            lm=asked, task_dict={task.name: _HarnessTask(config=_configuration(task))}, bootstrap_iters=0
        )
    samples = found["samples"][task.name]
    by_score = {
        ours: [float(sample[theirs]) for sample in samples]
        for theirs, ours in _SCORES.items()
        if theirs in samples[0]
    }
    return AnswerScores(by_score, asked.truncated)


class HarnessModel(HFLM):  # type: ignore[misc] # the harness ships no types
    """The harness's model class over a loaded model, with the differences named above."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        super().__init__(
            pretrained=model,
            tokenizer=tokenizer,
            backend="causal",
            batch_size=batch_size,
            softmax_dtype="float32",
        )
        self.truncated = 0

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        prompt = self.tok_encode(context)
        answer = self.tok_encode(continuation, add_special_tokens=False)
        self.truncated += len(prompt) + len(answer) > self.max_length + 1  # the last token is never read
        return prompt, answer

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """(ln p of the answer, whether it is the likeliest) for each request."""
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        if not all(math.isfinite(nats) for nats, _ in found):
            raise CheckpointError(
                "the model gives no finite probability to an answer; its weights hold NaN or infinity"
            )
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """What the model writes after each prompt, up to the end of the line."""
        room = self.max_length - _ANSWER_TOKENS
        self.truncated += sum(len(self.tok_encode(request.args[0])) > room for request in requests)
        written: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        return written


class _HarnessTask(ConfigurableTask):  # type: ignore[misc] # the harness ships no types
    def build_all_requests(self, **options: Any) -> None:
        with redirect_stderr(io.StringIO()):  # the harness would draw a bar of its own
            super().build_all_requests(**options)


def _configuration(task: Task) -> dict[str, Any]:
    """The task in the harness's terms, over examples in memory."""

    def score(document: dict[str, Any], written: Sequence[str]) -> dict[str, float]:
        return score_answer(written[0], document["answers"], task.language)

    measured: dict[str, Any] = {
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": _means("acc", "acc_bytes"),
    }
    if task.format == "extraction":
        measured = {
            "output_type": "generate_until",
            "doc_to_target": "answers",
            "process_results": score,
            "metric_list": _means("exact_match", "f1"),
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": _ANSWER_TOKENS, "do_sample": False},
        }
    return {
        "task": task.name,
        "custom_dataset": lambda **_: {"asked": _rows(task.asked), "shown": _rows(task.shown)},
        "test_split": "asked",
        "fewshot_split": "shown" if task.shown else None,
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": len(task.shown),
        "doc_to_text": "prompt",
        **measured,
    }


def _means(*metrics: str) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics]


def _rows(examples: Sequence[Example]) -> Any:
    return Dataset.from_list(
        [
            {
                "prompt": one.prompt,
                "choices": list(one.choices),
                "gold": one.gold,
                "answers": list(one.answers),
            }
            for one in examples
        ]
    )


class _Bar:
    """Gets each answer in place of the harness's cache, and moves the progress bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def add_partial(self, *_: Any) -> None:
        """One more request is answered."""
        self._bar.advance()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings of the harness about what ekle does on purpose, but no errors."""
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _greedy(model: Any) -> Iterator[None]:
    own = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    try:
        yield
    finally:
        model.generation_config = own
