"""Translation between Turkish and English, with a few examples in the prompt, scored by BLEU and chrF.

A base model follows no instructions, so the prompt shows it pairs (few-shot, Brown et al. 2020). The line
that it writes next is scored, up to the end of the line. BLEU (Papineni et al. 2002) and chrF
(Popović 2015) are sacrebleu's, with its default settings, over all sentences.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ekle.artifacts.evaluation_report import Direction, Figure, Translation, TranslationExample
from ekle.errors import TextError
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import percentile_interval
from ekle.model.encoding import bos_ids, encode
from ekle.model.scoring.batches import in_batches
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings
from ekle.text.documents import clean
from ekle.text.lines import file_lines

Pair = tuple[str, str]
"""Turkish and English."""

DIRECTIONS: tuple[Direction, ...] = ("tr-en", "en-tr")

Translations = dict[Direction, list[str]]
"""A model's translations, by direction."""

_NAMES = {"tr": "Turkish", "en": "English"}
_LONGEST_SHOT, _LONGEST = 200, 500  # characters of a sentence that is shown, and of one that is translated
_TOKENS = 128
_LINE_BREAK = "Ċ"  # how byte-level tokenizers spell it
_LEAST = 10  # fewer pairs give no interval


def read_pairs(files: Sequence[str | Path]) -> list[Pair]:
    """Pairs of a line each: Turkish, a tab, English; further columns are ignored.

    Raises:
        TextError: a file is absent, is not UTF-8, or has a line without a tab.
    """
    pairs: list[Pair] = []
    for file in files:
        for number, line in enumerate(file_lines(Path(file)), start=1):
            columns = [clean(column).strip() for column in line.split("\t")]
            if len(columns) < 2 or not all(columns[:2]):
                raise TextError(f"{file}:{number}: a line is Turkish, a tab and English; this one is not")
            pairs.append((columns[0], columns[1]))
    return pairs


def choose_pairs(pairs: Sequence[Pair], settings: EvaluationSettings) -> tuple[list[Pair], list[Pair]]:
    """The pairs that are shown and those that are translated; both depend on the seed alone.

    Raises:
        TextError: there are too few that are short enough.
    """
    by_turkish = {turkish: (turkish, english) for turkish, english in pairs}
    drawn = [by_turkish[turkish] for turkish in sample_documents(list(by_turkish), 2**62, settings.seed)]
    shown = [pair for pair in drawn if max(map(len, pair)) <= _LONGEST_SHOT][: settings.shots]
    wanted = [pair for pair in drawn if pair not in shown and max(map(len, pair)) <= _LONGEST]
    if len(shown) < settings.shots or not wanted:
        raise TextError(
            f"{len(pairs):,} pairs are too few to translate: {settings.shots} are shown, each of at most "
            f"{_LONGEST_SHOT} characters, and others translated; give more with --parallel "
            "(evaluation.parallel)"
        )
    return shown, wanted[: settings.translations]


def translate(
    model: Any,
    tokenizer: Any,
    shown: Sequence[Pair],
    pairs: Sequence[Pair],
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> Translations:
    """A model's greedy translations of `pairs`, by direction.

    Raises:
        DeviceMemoryError: the device has no memory for one sentence.
    """
    ends = _line_ends(tokenizer)
    configuration = GenerationConfig(
        do_sample=False,
        max_new_tokens=_TOKENS,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=_padding(tokenizer),
    )

    def work(prompts: Sequence[str]) -> list[str]:
        ids = [[*bos_ids(tokenizer), *encode(tokenizer, prompt)] for prompt in prompts]
        width = max(map(len, ids))
        rows = torch.tensor([[_padding(tokenizer)] * (width - len(one)) + one for one in ids])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in ids])
        with torch.inference_mode():
            output = model.generate(
                input_ids=rows.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=configuration,
                stopping_criteria=StoppingCriteriaList([_LineEnd(ends.to(model.device), width)]),
            )
        texts = tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
        return [text.lstrip(" ").split("\n", 1)[0].strip() for text in texts]

    found: Translations = {}
    with reporter.task("translation", 2 * len(pairs), "lines") as task:
        for direction in DIRECTIONS:
            prompts = [prompt_of(direction, shown, pair) for pair in pairs]
            found[direction] = []
            for text in in_batches(prompts, settings.batch_size, work, "evaluation.shots"):
                found[direction].append(text)
                task.advance()
    return found


def prompt_of(direction: Direction, shown: Sequence[Pair], pair: Pair) -> str:
    """The pairs that are shown, the sentence to translate, and the beginning of the answer's line."""
    source, target = direction.split("-")
    order = (0, 1) if source == "tr" else (1, 0)
    blocks = [f"{_NAMES[source]}: {one[order[0]]}\n{_NAMES[target]}: {one[order[1]]}\n" for one in shown]
    blocks.append(f"{_NAMES[source]}: {pair[order[0]]}\n{_NAMES[target]}:")
    return "\n".join(blocks)


def score_translations(
    found: Mapping[str, Translations], pairs: Sequence[Pair], settings: EvaluationSettings
) -> dict[str, dict[Direction, Translation]]:
    """By model, by direction; the others are compared with the first model, over the same sentences."""
    figures: dict[str, dict[Direction, Translation]] = {}
    draws = np.random.default_rng(settings.seed).integers(len(pairs), size=(settings.resamples, len(pairs)))
    first: dict[Direction, tuple[list[float], list[float]]] = {}
    for model, by_direction in found.items():
        figures[model] = {}
        for direction, texts in by_direction.items():
            turkish, english = zip(*pairs, strict=True)
            sources, references = (turkish, english) if direction == "tr-en" else (english, turkish)
            bleu = _scores(BLEU(), texts, references, draws)
            chrf = _scores(CHRF(), texts, references, draws)
            before = first.setdefault(direction, (bleu, chrf))
            changed = before[0] is not bleu
            figures[model][direction] = Translation(
                pairs=len(pairs),
                bleu=_figure(bleu),
                bleu_change=_change(bleu, before[0]) if changed else None,
                chrf=_figure(chrf),
                chrf_change=_change(chrf, before[1]) if changed else None,
                examples=[
                    TranslationExample(source=source, reference=reference, text=text)
                    for source, reference, text in zip(sources[:3], references[:3], texts[:3], strict=True)
                ],
            )
    return figures


def _change(now: Sequence[float], before: Sequence[float]) -> Figure:
    return _figure([own - then for own, then in zip(now, before, strict=True)])


def signatures() -> dict[str, str]:
    """The signatures that sacrebleu asks to be quoted with its scores, by score."""
    found = {}
    for key, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        metric.corpus_score(["a"], [["a"]])  # counts the references, which the signature names
        found[key] = str(metric.get_signature())
    return found


def _scores(
    metric: BLEU | CHRF, texts: Sequence[str], references: Sequence[str], draws: NDArray[np.int64]
) -> list[float]:
    """The score of all sentences, then that of each resample, where there are enough sentences."""
    score = float(metric.corpus_score(list(texts), [list(references)]).score)
    return [score, *(resampled_scores(metric, texts, references, draws) if len(texts) >= _LEAST else [])]


def resampled_scores(
    metric: BLEU | CHRF, texts: Sequence[str], references: Sequence[str], draws: NDArray[np.int64]
) -> list[float]:
    """`corpus_score` of each of `draws`, which are places of sentences, (resamples, sentences)."""
    # The public corpus_score would count the n-grams of each resample anew: for 1,000 resamples of 200
    # sentences, chrF takes three minutes on one core. These two methods are those of sacrebleu's own
    # bootstrap. The first counts each sentence once, the second scores sums of counts. A test compares the
    # result with corpus_score.
    counts = np.array(metric._extract_corpus_statistics(list(texts), [list(references)]), dtype=np.int64)
    sums = (counts[drawn].sum(axis=0).tolist() for drawn in draws)
    return [float(metric._compute_score_from_stats(one).score) for one in sums]


def _figure(values: Sequence[float]) -> Figure:
    if len(values) == 1:
        return Figure(value=values[0])
    return percentile_interval(values[0], values[1:])


def _padding(tokenizer: Any) -> int:
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def _line_ends(tokenizer: Any) -> torch.Tensor:
    """Ids of the tokens that hold a line break."""
    vocabulary = tokenizer.get_vocab().items()
    return torch.tensor([number for token, number in vocabulary if _LINE_BREAK in token], dtype=torch.long)


class _LineEnd(StoppingCriteria):  # type: ignore[misc] # transformers ships no types
    """Ends each sequence at its first line break after the prompt."""

    def __init__(self, ends: torch.Tensor, prompt: int) -> None:
        self._ends, self._prompt = ends, prompt

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.isin(input_ids[:, self._prompt :], self._ends).any(dim=1)
