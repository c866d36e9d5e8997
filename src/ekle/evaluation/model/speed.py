"""Speed and memory at inference: the base and our last model on the same text.

Both models take the same passages of held-out text: *prefill* reads a passage as one prompt;
*generation* feeds it token by token over a cache, and picks the likeliest next token each time, as writing
that text would. So the speeds, in characters per second, depend on how many tokens the text takes and
what a token costs, not on what a model would write by itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import CacheBytes, ModelSpeeds, WeightBytes
from ekle.bpe.measure import count_tokens
from ekle.errors import DeviceMemoryError
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import ratio, saved
from ekle.model.checkpoint.loading import load_config
from ekle.model.encoding import encode, prefix_token_id
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

_VALUE_BYTES = 2  # a cached value in bf16, in which models are served
_FLOAT_BYTES = 4  # a weight in float32, in which models are loaded on a CPU

Seconds = NDArray[np.float64]
"""The best time of each passage, shape (passages,)."""


@dataclass(frozen=True)
class Speeds:
    """The keys of `Inference` that are timed; None where nothing was."""

    passages: int | None = None
    characters: int | None = None
    interleaved: bool | None = None
    prefill: ModelSpeeds | None = None
    generation: ModelSpeeds | None = None


@dataclass(frozen=True)
class Memory:
    """The keys of `Inference` that are computed."""

    kv_cache: CacheBytes
    weights: WeightBytes
    break_even_characters: float | None


def measure_speeds(
    models: Sequence[EvaluatedModel],
    texts: Mapping[str, Sequence[str]],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> Speeds:
    """Time two models on the same passages of `evaluation.speed_characters` characters.

    They take turns, passage by passage, and the best of `evaluation.speed_rounds` counts for each, so that a
    busy machine slows both alike. Where memory does not hold both, one is timed after the other.

    Returns:
        Only None where the text is shorter than a passage.

    Raises:
        DeviceMemoryError: the device has no memory for one model and a passage.
    """
    joined = "\n".join(
        text
        for documents in texts.values()
        for text in sample_documents(
            documents, 4 * settings.speed_characters * settings.speed_passages, settings.seed
        )
    )
    step = settings.speed_characters
    passages = [joined[at : at + step] for at in range(0, len(joined) - step + 1, step)]
    passages = passages[: settings.speed_passages]
    if not passages:
        return Speeds()
    interleaved, best = _take_turns(models, passages, settings, reporter)
    first, second = (best[evaluated.name] for evaluated in models)
    characters = step * len(passages)
    prefill, generation = (
        ModelSpeeds.model_validate(
            {
                **{name: float(characters / own[place].sum()) for name, own in best.items()},
                "gain": ratio(first[place], second[place], settings.resamples, settings.seed, less=1.0),
            }
        )
        for place in (0, 1)
    )
    return Speeds(len(passages), characters, interleaved, prefill, generation)


def measure_memory(
    folders: Mapping[str, Path],
    tokenizers: Sequence[Tokenizer],
    texts: Mapping[str, Sequence[str]],
    weights: Mapping[str, int],
    settings: EvaluationSettings,
) -> Memory:
    """The memory that two models need for the same text.

    Args:
        folders: the models, by name, with config.json.
        tokenizers: theirs.
        texts: held-out text.
        weights: bytes of the stored weights by name.
        settings: for the interval.

    Returns:
        Keys and values by the configuration and the tokens of the text. There is a point from which the
        second model needs less memory in all where the cache shrinks while the weights grow.
    """
    documents = [text for part in texts.values() for text in part]
    characters = sum(map(len, documents))
    first, second = folders
    counts = [count_tokens(tokenizer, documents).tokens for tokenizer in tokenizers]
    sizes = [cache_bytes(load_config(folder)) for folder in folders.values()]
    cache = {
        name: float(size * count.sum() / characters)
        for name, size, count in zip(folders, sizes, counts, strict=True)
    }
    spared = saved(sizes[1] * counts[1], sizes[0] * counts[0], settings.resamples, settings.seed)
    grown, shrunk = weights[second] - weights[first], cache[first] - cache[second]
    return Memory(
        CacheBytes.model_validate(
            {**{name: 1_000 * value for name, value in cache.items()}, "saved": spared}
        ),
        WeightBytes.model_validate({**weights, "change": weights[second] / weights[first] - 1}),
        grown / shrunk if grown > 0 and shrunk > 0 else None,
    )


def cache_bytes(config: Any) -> int:
    """Bytes of keys and values per token in the cache, in bf16."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * _VALUE_BYTES)


def _take_turns(
    models: Sequence[EvaluatedModel],
    passages: Sequence[str],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> tuple[bool, dict[str, tuple[Seconds, Seconds]]]:
    """Whether all models could take turns, and the best times of prefill and generation by model."""
    if _load_together(models):
        try:
            return True, _best_times(models, passages, settings, reporter)
        except torch.OutOfMemoryError:
            pass  # the models fit, but not what they need to read a passage
        _unload(models)  # here, because the error still references tensors of the passage
    best: dict[str, tuple[Seconds, Seconds]] = {}
    for evaluated in models:
        try:
            best |= _best_times([evaluated], passages, settings, reporter)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                "the device has no memory to time a passage; lower evaluation.speed_characters"
            ) from error
        evaluated.close()
    return False, best


def _best_times(
    models: Sequence[EvaluatedModel],
    passages: Sequence[str],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> dict[str, tuple[Seconds, Seconds]]:
    """The best times of prefill and generation by model; they take turns, in alternating order."""
    best: dict[str, tuple[Seconds, Seconds]] = {}
    rounds = settings.speed_rounds + 1  # the first is not counted
    with reporter.task("speed", rounds, "texts") as task:
        for turn in range(rounds):
            for evaluated in models if turn % 2 else reversed(models):
                if not turn:
                    _time(evaluated, passages[:1])
                    continue
                timed = _time(evaluated, passages)
                before = best.get(evaluated.name, timed)
                best[evaluated.name] = (np.minimum(before[0], timed[0]), np.minimum(before[1], timed[1]))
            task.advance()
    return best


def _time(evaluated: EvaluatedModel, passages: Sequence[str]) -> tuple[Seconds, Seconds]:
    """Seconds of prefill and of generation for each passage."""
    model, tokenizer = evaluated.loaded
    start = prefix_token_id(tokenizer)
    seconds = []
    with torch.inference_mode():
        for passage in passages:
            ids = torch.tensor([[start, *encode(tokenizer, passage)]], device=model.device)
            began = time.perf_counter()
            _next(model, ids[:, :-1], None)
            read = time.perf_counter()
            cache = None
            for place in range(ids.shape[1] - 1):
                cache = _next(model, ids[:, place : place + 1], cache)
            seconds.append((read - began, time.perf_counter() - read))
    prefill, generation = np.array(seconds).T
    return prefill, generation


def _next(model: Any, ids: torch.Tensor, cache: Any) -> Any:
    """Read `ids` after what is cached and pick the next token; returns the cache. Waits for the device."""
    output = model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
    model.get_output_embeddings()(output.last_hidden_state[:, -1]).argmax(dim=-1).item()
    return output.past_key_values


def _load_together(models: Sequence[EvaluatedModel]) -> bool:
    """Load all of `models`, if memory holds them; otherwise unload them."""
    if not torch.cuda.is_available():
        wanted = sum(evaluated.size().parameters * _FLOAT_BYTES for evaluated in models[:1])
        return wanted * len(models) < _available()
    try:
        for evaluated in models:
            evaluated.loaded  # noqa: B018
    except DeviceMemoryError:
        pass
    else:
        return True
    _unload(models)
    return False


def _unload(models: Sequence[EvaluatedModel]) -> None:
    for evaluated in models:
        evaluated.close()


def _available() -> int:
    """Bytes of memory that are free or can be made free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux: let the system decide
        return 2**62
    kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024
