"""Where tokenizers cut Turkish words, and what it costs: Qwen, the portable and the morphological profile.

    python benchmarks/morphology.py --data DIR --out docs/morphology.md

DIR holds tr/train.txt to learn from, tr/dev_*.txt and other/*.txt as for benchmarks/vocabulary.py, and in
morphology/ two treebanks and a list of segmented words; benchmarks/inflected_words.tsv is our own list.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.measure import count_tokens, encode_speeds, measure_drift
from ekle.evaluation.morphemes import agreement, root_uncut
from ekle.pipeline.vocab import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import Corpus
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.text.read import documents
from ekle.turkish.gold import read_segmentations, read_treebank

GENRES = ("wiki", "qa", "spoken", "legal", "review", "ud")
OTHERS = ("en", "code", "de", "fr")
DRIFT_LINES = 20_000
SPEED_LINES = 3_000  # of each genre
SPEED_ROUNDS = 5
COMMON = Path(__file__).parent / "inflected_words.tsv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    parser.add_argument("--learned", type=Path, help="folder of learned vocabularies, filled where empty")
    arguments = parser.parse_args()
    data: Path = arguments.data
    base = load_base("qwen3").tokenizer()
    tokenizers = {"Qwen": base}
    with TemporaryDirectory() as scratch:
        for profile in ("portable", "morphological"):
            place = (arguments.learned or Path(scratch)) / profile
            tokenizers[profile] = _learned(data / "tr" / "train.txt", profile, arguments.size, place)
    genres = {genre: _read(data / "tr" / f"dev_{genre}.txt") for genre in GENRES}
    together = [text for texts in genres.values() for text in texts]
    treebanks = [read_treebank(data / "morphology" / f"tr_{name}-ud-dev.conllu") for name in ("boun", "imst")]
    lists = [read_segmentations(COMMON)]
    lists.append(read_segmentations(data / "morphology" / "morphochallenge2010_train.tsv"))
    others = {name: _read(data / "other" / f"{name}.txt")[:DRIFT_LINES] for name in OTHERS}
    some = [text for texts in genres.values() for text in texts[:SPEED_LINES]]
    speeds = encode_speeds(list(tokenizers.values()), some, SPEED_ROUNDS)
    plain = count_tokens(base, together)
    rows: list[str] = []
    for (name, tokenizer), speed in zip(tokenizers.items(), speeds, strict=True):
        agreements = [agreement(tokenizer, words) for words in lists]
        cells = [name, f"{count_tokens(tokenizer, together).saved(plain):.2%}"]
        cells += [f"{root_uncut(tokenizer, words):.1%}" for words in treebanks]
        cells += [f"{one.without_wrong_cut:.1%}" for one in agreements]
        cells += [f"{one.precision:.1%} / {one.recall:.1%}" for one in agreements]
        cells += [f"{measure_drift(base, tokenizer, lines).share:.2%}" for lines in others.values()]
        cells.append(f"{speed / speeds[0]:.2f}x")
        rows.append("| " + " | ".join(cells) + " |")
    head = ["tokenizer", "saved", "root uncut, BOUN", "root uncut, IMST", "no wrong cut, common"]
    head += ["no wrong cut, Morpho Challenge", "precision / recall, common"]
    head += ["precision / recall, Morpho Challenge", *(f"{o} changed" for o in OTHERS), "speed"]
    table = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1), *rows]
    text = (
        "# Where words are cut\n\n"
        f"Written by `benchmarks/morphology.py`; {arguments.size:,} tokens learned from `tr/train.txt`.\n\n"
        f"- `saved`: tokens less than with Qwen on `tr/dev_*.txt` ({', '.join(GENRES)}) together.\n"
        f"- `root uncut`: inflected words of UD Turkish BOUN and IMST, dev ({len(treebanks[0]):,} and "
        f"{len(treebanks[1]):,} occurrences), inside whose root no token ends.\n"
        f"- `no wrong cut`: words in which every cut is a morpheme boundary: {len(lists[0]):,} common "
        f"inflected words (`benchmarks/inflected_words.tsv`) and {len(lists[1]):,} of Morpho Challenge 2010. "
        "Precision and recall: of the cuts against the boundaries; a word that is one token has no cut.\n"
        f"- `changed`: the first {DRIFT_LINES:,} lines of `other/*.txt` whose tokens differ from Qwen's.\n"
        "- `speed`: characters encoded a second, as a multiple of Qwen's in the same run.\n\n"
        + "\n".join(table)
        + "\n"
    )
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)


def _learned(train: Path, profile: str, size: int, place: Path) -> Tokenizer:
    if not place.exists():
        settings = Settings.model_validate({"size": size, "profile": profile})
        learn_from_text(Corpus(sources=[str(train)]), "qwen3", settings, place, silent())
    return Tokenizer.from_file(str(Vocabulary(place).tokenizer / "tokenizer.json"))


def _read(path: Path) -> list[str]:
    return [document.text for document in documents([str(path)])]


if __name__ == "__main__":
    main()
