"""`ekle compare`: tokenizers side by side on text files. Needs no model and no tensor library."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from ekle.artifacts.evaluation_report import BoundaryShares, Figure, Part, TokenAverages
from ekle.bpe.base import load_tokenizer
from ekle.bpe.measure import (
    Timing,
    TokenCounts,
    count_pre_tokens,
    count_tokens,
    measure_drift,
    split_lines,
    time_decoding,
    time_encoding,
)
from ekle.bpe.segmentation import SegmentationChange, added_tokens, is_byte_level, list_changes
from ekle.evaluation.texts import file_texts
from ekle.evaluation.tokenizer.morphology import measure_text
from ekle.evaluation.tokenizer.savings import averages
from ekle.evaluation.trust.intervals import ratio, saved, share
from ekle.recipe.evaluation import EvaluationSettings
from ekle.text.documents import TextReader

_SPEED_CHARACTERS = 400_000
_SETTINGS = EvaluationSettings()  # of the intervals: compare has no recipe


class ComparedText(TokenAverages):
    """A tokenizer on one text, compared with the first tokenizer."""

    floor: int
    """Pre-tokens of the text: no vocabulary needs fewer tokens with that pre-tokenizer."""
    tokens_saved: Figure | None = None
    """The share of the first tokenizer's tokens that this one saves."""
    lines: int | None = None
    """Lines of the text; like the next two, absent where the two spell their tokens differently."""
    lines_changed: Figure | None = None
    """The share of the lines that are split differently."""
    changes: list[SegmentationChange] | None = None
    """All of what is split differently, where it was asked for."""
    morphology: BoundaryShares | None = None
    """Token boundaries against a lexicon, where the text is Turkish."""


class ComparedTokenizer(Part):
    """A tokenizer, compared with the first one."""

    name: str
    """What the user calls it."""
    tokens: int
    """Tokens of its vocabulary."""
    texts: dict[str, ComparedText]
    """By text."""
    characters_per_second: float
    """Of encoding."""
    speed: Figure | None = None
    """The same divided by the first tokenizer's."""
    decoded_characters_per_second: float
    """Of decoding."""
    decoding_speed: Figure | None = None
    """The same divided by the first tokenizer's."""


def compare_tokenizers(
    tokenizers: Mapping[str, Path | str],
    texts: Mapping[str, Path],
    *,
    changes: bool = False,
    reader: TextReader | None = None,
) -> list[ComparedTokenizer]:
    """Measure each tokenizer on each text file; the others are compared with the first.

    Args:
        tokenizers: by the name to print: a folder, a tokenizer.json, "qwen3" or a hub id.
        texts: by the name to print: a file or folder.
        changes: whether to list what each tokenizes differently from the first.
        reader: reads the texts; a plain one if not given.

    Raises:
        TextError: a text cannot be read, or holds no words.
        TokenizerError, InputError: a tokenizer cannot be opened.
    """
    read = file_texts({}, texts, reader).other
    opened = {name: load_tokenizer(where) for name, where in tokenizers.items()}
    first, *others = opened.values()
    before = {title: count_tokens(first, documents) for title, documents in read.items()}
    morphology = {title: measure_text(opened, documents, _SETTINGS) for title, documents in read.items()}
    compared: dict[str, dict[str, ComparedText]] = {}
    for name, tokenizer in opened.items():
        alike = tokenizer is not first and is_byte_level(first) and is_byte_level(tokenizer)
        added = added_tokens(first, tokenizer) if alike and changes else None
        compared[name] = {
            title: _on_text(
                first,
                tokenizer,
                documents,
                before[title],
                alike=alike,
                added=added,
                morphology=morphology[title].get(name),
            )
            for title, documents in read.items()
        }
    some, every = _some(read), [first, *others]
    encoding, decoding = time_encoding(every, some), time_decoding(every, some)
    return [
        ComparedTokenizer(
            name=name,
            tokens=tokenizer.get_vocab_size(),
            texts=compared[name],
            characters_per_second=encoding.rates[place],
            speed=_against_first(encoding, place),
            decoded_characters_per_second=decoding.rates[place],
            decoding_speed=_against_first(decoding, place),
        )
        for place, (name, tokenizer) in enumerate(opened.items())
    ]


def _against_first(timed: Timing, place: int) -> Figure | None:
    if not place:
        return None
    return ratio(timed.seconds[0], timed.seconds[place], _SETTINGS.resamples, _SETTINGS.seed)


def _on_text(
    first: Tokenizer,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    before: TokenCounts,
    *,
    alike: bool,
    added: frozenset[bytes] | None,
    morphology: BoundaryShares | None,
) -> ComparedText:
    """A tokenizer on one text.

    Args:
        first: the tokenizer to compare with.
        tokenizer: the one that is measured; may be the first itself.
        documents: the text.
        before: the counts of the first.
        alike: whether the two spell their tokens alike, so that lines can be compared.
        added: the new tokens, where changes are to be listed.
        morphology: its boundaries against the lexicon, where the text is Turkish.
    """
    counts = before if tokenizer is first else count_tokens(tokenizer, documents)
    lines = split_lines(documents) if alike else []
    drift = measure_drift(first, tokenizer, lines) if alike else None
    return ComparedText(
        **averages(counts).dump(),
        floor=int(count_pre_tokens(tokenizer, documents).sum()),
        tokens_saved=None
        if tokenizer is first
        else saved(counts.tokens, before.tokens, _SETTINGS.resamples, _SETTINGS.seed),
        lines=drift.lines if drift else None,
        lines_changed=share(len(drift.changed), drift.lines) if drift else None,
        changes=list_changes(first, tokenizer, [lines[place] for place in drift.changed], added)
        if drift and added is not None
        else None,
        morphology=morphology,
    )


def _some(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """An equal part of each text, in all enough to time an encoder."""
    chosen: list[str] = []
    for documents in texts.values():
        characters = 0
        for text in documents:
            if characters >= _SPEED_CHARACTERS // len(texts):
                break
            chosen.append(text)
            characters += len(text)
    return chosen
