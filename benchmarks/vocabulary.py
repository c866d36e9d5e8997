"""Tokens saved by genre, and drift in other languages: every profile of ekle and its peers.

    python -m benchmarks.vocabulary --data DIR --out docs/vocabulary.md

Needs DIR with tr/train.txt to learn from, tr/dev_*.txt to measure on, and other/*.txt that should not change.
Takes about 15 minutes of two cores.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from benchmarks.markdown import paragraph, publish
from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer, load_base, load_tokenizer
from ekle.bpe.measure import count_pre_tokens, count_tokens, measure_drift
from ekle.bpe.opening import open_tokenizer
from ekle.counting import Counts, count_documents
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents

GENRES = ("wiki", "qa", "spoken", "legal", "review", "ud", "ottoman")
HEADLINE = GENRES[:-1]
OTHERS = ("en", "code", "de", "fr", "ru", "ar", "zh", "az", "kk")
DRIFT_LINES = 20_000
SENTENCES = (
    "Geliyorum eve, yarın görüşürüz.",
    "Öğrenciler için hazırlanmış materyaller.",
    "Türkiye'nin eğitim sisteminde gelişmeler.",
)
"""The examples of the guide, which asks for 7, 8 and 8 tokens."""

Candidate = tuple[str, Tokenizer, float]
"""Name, tokenizer, and the CPU seconds of counting and learning."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    arguments = parser.parse_args()
    data: Path = arguments.data
    held_out = {genre: read_texts(data / "tr" / f"dev_{genre}.txt") for genre in GENRES}
    others = {name: read_texts(data / "other" / f"{name}.txt")[:DRIFT_LINES] for name in OTHERS}
    base = load_base("qwen3")
    rows: list[str] = []
    for name, tokenizer, seconds in _candidates(base, data, arguments.size):
        saved = {
            g: count_tokens(tokenizer, t).saved(count_tokens(base.tokenizer(), t))
            for g, t in held_out.items()
        }
        all_texts = [text for genre in HEADLINE for text in held_out[genre]]
        total = count_tokens(tokenizer, all_texts).saved(count_tokens(base.tokenizer(), all_texts))
        drift = {o: measure_drift(base.tokenizer(), tokenizer, lines).share for o, lines in others.items()}
        cells = [name, f"{total:.2%}", *(f"{saved[g]:.1%}" for g in GENRES)]
        cells += [*(f"{drift[o]:.2%}" for o in OTHERS), f"{seconds:.0f}"]
        cells.append(" / ".join(str(len(tokenizer.encode(sentence).ids)) for sentence in SENTENCES))
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    rows.append(_limit(base, held_out))
    publish(page(rows, arguments.size), arguments.out)


def page(rows: Sequence[str], size: int) -> str:
    """The page with one row per tokenizer."""
    about = paragraph(
        "Written by `python -m benchmarks.vocabulary`. All tokenizers learn from `tr/train.txt`. `saved`: "
        "the share of Qwen's tokens that are not needed for `tr/dev_*.txt`, over "
        f"{', '.join(HEADLINE)} together, then by genre. `changed` ([drift](glossary.md#drift)): the share "
        f"of the first {DRIFT_LINES:,} lines of `other/*.txt` whose tokens differ. `CPU seconds`: of "
        "counting and learning, summed over cores (docs/scale.md has the time by the clock). `three "
        f"sentences`: the tokens of {' '.join(SENTENCES)}"
    )
    changed = [f"{name} changed" for name in OTHERS]
    head = ["tokenizer", "saved", *GENRES, *changed, "CPU seconds", "three sentences"]
    table = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1), *rows]
    return f"# What {size:,} new tokens save and change\n\n{about}\n\n" + "\n".join(table) + "\n"


def _candidates(base: BaseTokenizer, data: Path, size: int) -> Iterator[Candidate]:
    train = str(data / "tr" / "train.txt")
    yield from _learned(train, size)
    yield from _strict(train, data / "other" / "en.txt", size)
    started = time.process_time()
    counts = count_documents((d.text for d in documents([train])), base, silent())
    added = add_tokens(base, counts, size)
    yield "add_tokens, most frequent words", added, time.process_time() - started
    for thousands in (32, 64):
        started = time.process_time()
        trained = from_scratch(base, train, thousands * 1000)
        yield f"{thousands}k trained from scratch, nothing of Qwen's", trained, time.process_time() - started


def _limit(base: BaseTokenizer, held_out: dict[str, list[str]]) -> str:
    """The limit of any tokenizer with Qwen's pre-tokenizer: one token per pre-token."""
    plain = base.tokenizer()
    before = {genre: int(count_tokens(plain, texts).tokens.sum()) for genre, texts in held_out.items()}
    limit = {genre: int(count_pre_tokens(plain, texts).sum()) for genre, texts in held_out.items()}
    total = 1 - sum(limit[genre] for genre in HEADLINE) / sum(before[genre] for genre in HEADLINE)
    cells = ["the limit: one token per pre-token", f"{total:.2%}"]
    cells += [f"{1 - limit[genre] / before[genre]:.1%}" for genre in GENRES]
    return "| " + " | ".join([*cells, *[""] * (len(OTHERS) + 2)]) + " |"


def _learned(train: str, size: int) -> Iterator[Candidate]:
    for name, (corpus, vocabulary) in configurations(train, size).items():
        yield learn_timed(name, corpus, vocabulary)


def configurations(train: str, size: int) -> dict[str, tuple[CorpusSettings, VocabularySettings]]:
    """Settings of ekle by name, and continued BPE as others do it."""
    plain = VocabularySettings(size=size, languages={}, min_count=1, contractions=True)
    text = CorpusSettings(sources=[train])
    return {
        "continued BPE, plain": (CorpusSettings(sources=[train], word_lists=[]), plain),
        "ekle, portable": (text, VocabularySettings(size=size)),
        "ekle, portable, not protecting": (text, VocabularySettings(size=size, languages={})),
        "ekle, portable, contractions split": (text, VocabularySettings(size=size, contractions=True)),
        "ekle, guide's quotas": (text, VocabularySettings(size=size, strategy="guide")),
        "ekle, compact": (text, VocabularySettings(size=size, profile="compact")),
        f"ekle, compact, {round(1.9 * size):,} tokens": (
            text,
            # More tokens occur less often each, so the least count is lower.
            VocabularySettings(size=round(1.9 * size), profile="compact", min_count=30),
        ),
        "ekle, morphological": (text, VocabularySettings(size=size, profile="morphological")),
    }


def _strict(train: str, english: Path, size: int) -> Iterator[Candidate]:
    """No change at all in the English lines that drift is measured on."""
    with TemporaryDirectory() as place:
        file = Path(place) / "en.txt"
        file.write_text("\n".join(read_texts(english)[:DRIFT_LINES]), encoding="utf-8")
        strict = VocabularySettings(size=size, protect=[str(file)], protect_strict=True)
        yield learn_timed(
            "ekle, portable, strict protection of those English lines",
            CorpusSettings(sources=[train]),
            strict,
        )


def learn_timed(name: str, corpus: CorpusSettings, vocabulary: VocabularySettings) -> Candidate:
    with TemporaryDirectory() as place:
        started = time.process_time()
        made: Vocabulary = learn_from_text(corpus, "qwen3", vocabulary, Path(place) / "v", silent())
        seconds = time.process_time() - started
        return name, load_tokenizer(made.tokenizer), seconds


def from_scratch(base: BaseTokenizer, train: str, size: int) -> Tokenizer:
    """Byte-level BPE with Qwen's pre-tokenizer, learned by the `tokenizers` library."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = (
        base.tokenizer().normalizer,
        base.tokenizer().pre_tokenizer,
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator((document.text for document in documents([train])), trainer)
    return tokenizer


def add_tokens(base: BaseTokenizer, counts: Counts, size: int) -> Tokenizer:
    """The usual recipe: `add_tokens` with the most frequent words that are not tokens yet."""
    tokenizer = open_tokenizer(base.spec)
    words: list[str] = []
    for text in counts.table["text"]:
        word = text.strip()
        if word.isalpha() and len(word) > 1 and len(base.tokenizer().encode(word).ids) > 1:
            words.append(word)
        if len(words) == size:
            break
    tokenizer.add_tokens(list(dict.fromkeys(words)))
    return tokenizer


def read_texts(path: Path) -> list[str]:
    """The lines of a file."""
    return [document.text for document in documents([str(path)])]


if __name__ == "__main__":
    main()
