"""What is measured of models: bits per byte, divergence, generated text, translation, tasks, and speed."""

from typing import Annotated, Literal

from ekle.artifacts.evaluation_report.figures import AMOUNT, NUMBER, Figure, Number, Part
from ekle.artifacts.evaluation_report.tokenizer import WordShares


class ModelSize(Part):
    """How large a model is."""

    parameters: int
    """Its parameters."""
    row_parameters: int
    """Those in input and output embeddings."""
    weight_bytes: int
    """Bytes of the weights as they are stored."""


class TextLikelihood(Part):
    """How well a model reads a text that it has not seen."""

    bits_per_byte: Number
    """Bits per UTF-8 byte; this compares across tokenizers."""
    loss_per_token: Annotated[float, NUMBER]
    """Nats per token; this does not compare across tokenizers."""
    tokens: int
    """Tokens that were read."""
    bytes: int
    """UTF-8 bytes that were read."""
    documents: int
    """Documents that were read."""
    perplexity: Annotated[float | None, NUMBER] = None
    """exp(`loss_per_token`); absent where it is too large for a number."""
    change: Figure | None = None
    """The relative change of the bits from the base's, paired by document; -0.1 is 10 % fewer. Absent for
    the base."""


class TextDivergence(Part):
    """How far predictions have moved from the base's where both read the same tokens."""

    kl: Number
    """Nats per token, from the base's distribution to the model's, over the base's tokens."""
    new_mass: Figure
    """The share of the probability that goes to new tokens."""
    same_top_token: Figure
    """The share of the positions at which both find the same base token most probable."""
    tokens: int
    """Positions that were compared."""
    documents: int
    """Documents that were compared."""
    left_out: int
    """Documents that the two tokenizers split differently."""


class GreedySample(Part):
    """What a model writes when it takes its most probable token each time."""

    prompt: str
    """The beginning that it was given."""
    text: str
    """The continuation alone."""
    tokens: int
    """Tokens of the continuation."""
    characters: int
    """Characters of the continuation."""


class GeneratedText(Part):
    """Figures of sampled text, or of excerpts of the same length that people wrote."""

    samples: int
    """Continuations, or excerpts."""
    characters: int
    """Their characters."""
    words: WordShares
    """What the analyser says about their words."""
    repeated: Figure | None = None
    """The share of the runs of four words that occur earlier in the same sample."""
    turkish: Figure | None = None
    """The share of the samples of 20 letters or more whose language is Turkish; the interval is Wilson's."""
    bits_per_byte: Annotated[Figure | None, NUMBER] = None
    """Bits per UTF-8 byte that the base needs to read them, prompts included."""


Direction = Literal["tr-en", "en-tr"]


class TranslationExample(Part):
    """A sentence that was translated."""

    source: str
    """The sentence."""
    reference: str
    """A person's translation."""
    text: str
    """The model's translation."""


class Translation(Part):
    """How well a model translates in one direction."""

    pairs: int
    """Sentences that were translated."""
    bleu: Number
    """BLEU over all sentences, 0 to 100."""
    bleu_change: Annotated[Figure | None, NUMBER] = None
    """Points from the base's BLEU, over the same sentences; absent for the base."""
    chrf: Number
    """chrF over all sentences, 0 to 100."""
    chrf_change: Annotated[Figure | None, NUMBER] = None
    """Points from the base's chrF, likewise."""
    examples: list[TranslationExample]
    """The first three sentences."""


Score = Literal["accuracy", "accuracy_bytes", "exact_match", "f1"]

SCORES: tuple[Score, ...] = ("accuracy", "accuracy_bytes", "exact_match", "f1")


class TaskScores(Part):
    """What a model scores in a task; a difference is own less the base's, paired by question."""

    accuracy: Figure | None = None
    """The share of the questions whose right choice is the most probable one; the interval is Wilson's."""
    accuracy_difference: Figure | None = None
    """From the base; absent for the base."""
    accuracy_bytes: Figure | None = None
    """Likewise, with ln p divided by the bytes of the choice, so that long choices have no disadvantage;
    absent where choices are letters."""
    accuracy_bytes_difference: Figure | None = None
    """From the base; absent for the base."""
    exact_match: Figure | None = None
    """The share of the written answers that equal a right one; the interval is Wilson's."""
    exact_match_difference: Figure | None = None
    """From the base; absent for the base."""
    f1: Figure | None = None
    """F1 of words against the right answer that fits best, 0 to 1, the mean over questions."""
    f1_difference: Figure | None = None
    """From the base; absent for the base."""
    truncated: int | None = None
    """Requests whose beginning was left out because the context is too short; absent where there are none."""

    def score(self, name: Score) -> Figure | None:
        """The score `name`."""
        figure: Figure | None = getattr(self, name)
        return figure

    def difference(self, name: Score) -> Figure | None:
        """How much higher the score `name` is than the base's."""
        figure: Figure | None = getattr(self, f"{name}_difference")
        return figure


class TaskResult(Part):
    """Questions with right answers."""

    language: Literal["tr", "en"]
    """Of the questions."""
    format: Literal["exam", "science", "cause", "reading", "extraction"]
    """Which fields the file has; answers are chosen, and in `extraction` written."""
    examples: int
    """Questions that were asked."""
    shots: int
    """Questions that were shown with their answers before each."""
    harness: str
    """Version of lm-evaluation-harness."""
    models: dict[str, TaskScores]
    """By model, the base first."""
    chance: float | None = None
    """The accuracy of guessing; absent where answers are written."""
    unanswered: int | None = None
    """Questions of the file that have no right answer and were left out; absent where there are none."""

    @property
    def main_score(self) -> Score:
        """The score that the task is judged by: accuracy by bytes where choices have lengths, F1 where
        answers are written."""
        own = next(iter(self.models.values()))
        order: tuple[Score, ...] = ("accuracy_bytes", "accuracy", "f1", "exact_match")
        return next(name for name in order if own.score(name) is not None)

    def main_difference(self, model: str | None) -> Figure | None:
        """How much higher `model` scores than the base; None for the base, or where it was not asked."""
        own = self.models.get(model) if model is not None else None
        return own.difference(self.main_score) if own else None


class ModelSpeeds(Part):
    """Characters per second of two models on the same text."""

    base: Annotated[float, AMOUNT]
    """Of the base."""
    extended: Annotated[float | None, AMOUNT] = None
    """Of the extended model, where that is our last."""
    trained: Annotated[float | None, AMOUNT] = None
    """Of the trained model, where that is our last."""
    gain: Figure
    """The relative change from the base; 0.2 is 20 % faster."""


class CacheBytes(Part):
    """Bytes of keys and values, in bf16, that 1,000 characters of text leave in the cache."""

    base: Annotated[float, AMOUNT]
    """Of the base."""
    extended: Annotated[float | None, AMOUNT] = None
    """Of the extended model, where that is our last."""
    trained: Annotated[float | None, AMOUNT] = None
    """Of the trained model, where that is our last."""
    saved: Figure
    """The share of the base's bytes that our last model saves."""


class WeightBytes(Part):
    """Bytes of the stored weights."""

    base: int
    """Of the base."""
    extended: int | None = None
    """Of the extended model, where that is our last."""
    trained: int | None = None
    """Of the trained model, where that is our last."""
    change: float
    """The relative change from the base; 0.02 is 2 % more."""


class Inference(Part):
    """Speed and memory at inference, of the base and of our last model."""

    models: list[str]
    """The two: the base, and our last model."""
    passages: int | None = None
    """Passages of held-out text that were timed."""
    characters: int | None = None
    """Their characters."""
    interleaved: bool | None = None
    """Whether the two took turns; false where memory does not hold both."""
    prefill: ModelSpeeds | None = None
    """Reading a passage as one prompt."""
    generation: ModelSpeeds | None = None
    """Reading it token by token over a cache, as fast as this text could be written."""
    kv_cache: CacheBytes
    """Memory for keys and values."""
    weights: WeightBytes
    """Memory for weights."""
    break_even_characters: Annotated[float | None, AMOUNT] = None
    """Characters in the cache, over all requests that are served together, from which our last model needs
    less memory in all; absent where there is no such number."""
