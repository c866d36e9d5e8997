"""Tokens saved, drift, intact roots and speed: ekle against Qwen3, `add_tokens`, continued BPE and others.

    python -m benchmarks.peers --data DIR --out docs/peers.md
    python -m benchmarks.peers --data DIR --limit 20000000 --tokenizer another=FOLDER

Needs DIR with tr/train.txt to learn from, tr/dev_*.txt to measure on, other/*.txt that should not change, and
two treebanks in morphology/. `--limit` takes that many bytes from the beginning of tr/train.txt. Takes about
15 minutes of two cores with all of the 86 MB.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer

from benchmarks.markdown import publish, wrap
from benchmarks.vocabulary import (
    DRIFT_LINES,
    HEADLINE,
    add_tokens,
    configurations,
    from_scratch,
    learn_timed,
    read_texts,
)
from ekle.artifacts.evaluation_report import Figure
from ekle.bpe.base import BaseTokenizer, load_base, load_tokenizer
from ekle.bpe.measure import TokenCounts, count_tokens, measure_drift, time_encoding
from ekle.counting import count_documents
from ekle.evaluation.tokenizer.segmentation import intact_root_share
from ekle.evaluation.trust.intervals import ratio, saved
from ekle.page.formatting import ratio_interval
from ekle.progress import silent
from ekle.text.documents import documents
from ekle.turkish.gold import RootedWord, read_treebank

OURS = ("continued BPE, plain", "ekle, portable", "ekle, compact", "ekle, morphological")
FROM_SCRATCH = (32_000, 128_000)
OTHERS = {"English": "en", "code": "code", "German": "de", "French": "fr"}
TREEBANKS = ("tr_boun-ud-dev.conllu", "tr_imst-ud-dev.conllu")
SPEED_LINES, SPEED_ROUNDS = 300, 3  # lines of each genre
RESAMPLES, SEED = 1_000, 0

PROSE = """\
# ekle and its peers

Written by `python -m benchmarks.peers`. Extended tokenizers have {size:,} new tokens. All learn from {text}
and are measured on {genres} together. From less text, a token needs in proportion fewer occurrences (100 in
all of it). More tokenizers, and figures by genre, are in [vocabulary.md](vocabulary.md).

- `saved`: the share of Qwen3's tokens that are not needed, with its 95 % interval (bootstrap over lines).
- `changed` ([drift](glossary.md#drift)): the share of the first {drift:,} lines of `other/*.txt` whose tokens
  differ from Qwen3's; empty where the ids are not Qwen3's, so that Qwen3's weights cannot be used.
- [root intact](glossary.md#root-intact): inflected words of {treebanks} without a token boundary inside the
  root.
- `encoding speed`: characters per second against Qwen3's, timed in turns, with its 95 % interval over parts
  of the text.
- From scratch: byte-level BPE of the `tokenizers` library with Qwen3's pre-tokenizer.

"""


@dataclass(frozen=True)
class EvaluationSet:
    """What every tokenizer is measured on."""

    base: Tokenizer
    before: TokenCounts
    held_out: Sequence[str]
    others: dict[str, list[str]]
    words: Sequence[RootedWord]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--limit", type=int, help="bytes of tr/train.txt to learn from; default: all")
    parser.add_argument("--tokenizer", metavar="NAME=FOLDER", action="append", default=[])
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    arguments = parser.parse_args()
    data: Path = arguments.data
    whole = (data / "tr" / "train.txt").stat().st_size
    learned = min(arguments.limit or whole, whole)
    base = load_base("qwen3")
    texts = _evaluation_set(base.tokenizer(), data)
    peers: dict[str, Tokenizer] = {}
    rows: dict[str, list[str]] = {}
    for name, tokenizer in _peers(base, data, arguments.size, learned, whole, arguments.tokenizer):
        peers[name], rows[name] = tokenizer, _row(texts, tokenizer)
        print(name, *rows[name], sep=" | ", flush=True)
    speeds = _speeds(peers, data)
    text = _page(rows, speeds, arguments.size, learned, whole)
    publish(text, arguments.out)


def _evaluation_set(base: Tokenizer, data: Path) -> EvaluationSet:
    held_out = [text for genre in HEADLINE for text in read_texts(data / "tr" / f"dev_{genre}.txt")]
    return EvaluationSet(
        base,
        count_tokens(base, held_out),
        held_out,
        {name: read_texts(data / "other" / f"{file}.txt")[:DRIFT_LINES] for name, file in OTHERS.items()},
        [word for name in TREEBANKS for word in read_treebank(data / "morphology" / name)],
    )


def _peers(
    base: BaseTokenizer, data: Path, size: int, learned: int, whole: int, given: Sequence[str]
) -> Iterator[tuple[str, Tokenizer]]:
    yield "Qwen3", base.tokenizer()
    with TemporaryDirectory() as place:
        train = str(data / "tr" / "train.txt")
        if learned < whole:
            lines = [document.text for document in documents([train], max_bytes=learned)]
            train = str(Path(place) / "train.txt")
            Path(train).write_text("\n".join(lines), encoding="utf-8")
        counts = count_documents((document.text for document in documents([train])), base, silent())
        yield "`add_tokens`, most frequent words", add_tokens(base, counts, size)
        known = configurations(train, size)
        for name in OURS:
            corpus, vocabulary = known[name]
            # As often in a byte of text as with all of it.
            min_count = max(round(vocabulary.min_count * learned / whole), 1)
            made = learn_timed(name, corpus, vocabulary.model_copy(update={"min_count": min_count}))
            yield name, made[1]
        for rows in FROM_SCRATCH:
            yield f"{rows:,} tokens from scratch", from_scratch(base, train, rows)
    for item in given:
        name, _, folder = item.partition("=")
        yield name, load_tokenizer(folder)


def _row(texts: EvaluationSet, tokenizer: Tokenizer) -> list[str]:
    """The cells after the name, without the speed."""
    after = count_tokens(tokenizer, texts.held_out)
    saving = saved(after.tokens, texts.before.tokens, RESAMPLES, SEED)
    cells = [
        f"{tokenizer.get_vocab_size():,}",
        f"{after.bytes_per_token:.2f}",
        f"{after.tokens_per_word:.2f}",
        _share(saving),
    ]
    extends = tokenizer.get_vocab().items() >= texts.base.get_vocab().items()
    cells += [
        f"{measure_drift(texts.base, tokenizer, lines).share:.2%}" if extends else ""
        for lines in texts.others.values()
    ]
    return [*cells, f"{intact_root_share(tokenizer, texts.words):.1%}"]


def _speeds(peers: dict[str, Tokenizer], data: Path) -> dict[str, Figure]:
    """Characters encoded per second, as a multiple of the first peer's, with the interval."""
    speed_sample = [
        document.text
        for genre in HEADLINE
        for document in islice(documents([str(data / "tr" / f"dev_{genre}.txt")]), SPEED_LINES)
    ]
    seconds = time_encoding(list(peers.values()), speed_sample, SPEED_ROUNDS).seconds
    return {name: ratio(seconds[0], own, RESAMPLES, SEED) for name, own in zip(peers, seconds, strict=True)}


def _page(rows: dict[str, list[str]], speeds: dict[str, Figure], size: int, learned: int, whole: int) -> str:
    head = [
        *("tokenizer", "vocabulary", "bytes/token", "tokens/word", "saved"),
        *(f"{name} changed" for name in OTHERS),
        *("root intact", "encoding speed"),
    ]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    lines += [f"| {' | '.join([name, *cells, _times(speeds[name])])} |" for name, cells in rows.items()]
    about = PROSE.format(
        size=size,
        text=f"all of `tr/train.txt`, {whole / 1e6:.0f} MB,"
        if learned == whole
        else f"**the first {learned / 1e6:.0f} of the {whole / 1e6:.0f} MB** of `tr/train.txt`",
        genres=", ".join(f"`dev_{genre}`" for genre in HEADLINE),
        drift=DRIFT_LINES,
        treebanks=" and ".join(f"`{name}`" for name in TREEBANKS),
    )
    return wrap(about) + "\n".join(lines) + "\n"


def _share(figure: Figure) -> str:
    limits = "" if figure.low is None else f" ({figure.low:.1%} to {figure.high:.1%})"
    return f"{figure.value:.1%}{limits}"


def _times(quotient: Figure) -> str:
    value, limits = f"{quotient.value:.2f}x", ratio_interval(quotient)
    return f"{value} ({limits})" if limits else value


if __name__ == "__main__":
    main()
