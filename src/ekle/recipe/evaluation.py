"""`[evaluation]`: what is measured, and how much text is read for it."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section


class EvaluationSettings(Section):
    """Limits and prompts of `ekle evaluate`; the text is the corpus's held-out part."""

    context: int = Field(default=1024, ge=2)
    """Tokens that the model sees in one window when bits per byte are measured."""
    batch_size: PositiveInt = 8
    """Windows of text in one forward pass; halved where the device lacks memory."""
    bytes_per_text: PositiveInt = 200_000
    """Bytes of each text that the model reads; token figures always use the whole text."""
    drift_lines: PositiveInt = 20_000
    """Lines of each other-language file that are compared."""
    prompts: list[Annotated[str, Field(min_length=1)]] = [
        "Türkiye'nin en büyük şehri",
        "Sabah erkenden kalkıp",
        "Bilim insanları",
    ]
    """Beginnings that each model continues, taking its likeliest token each time; shown, and not measured."""
    new_tokens: PositiveInt = 32
    """Length of each of these continuations, in tokens."""
    samples: NonNegativeInt = 80
    """Sampled continuations, whose words and coherence are measured: one of each of `prompts`, and of the
    beginnings of as many lines of held-out text as are missing to this number. With fewer than 73, the
    interval cannot show that more than 95 % are Turkish."""
    sample_tokens: PositiveInt = 64
    """Length of each of these, in tokens."""
    temperature: float = Field(default=1.0, gt=0)
    """Of sampling: 1 takes the probabilities as they are."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Of sampling: only the likeliest tokens that together have this share of the probability are taken."""
    divergence_bytes: PositiveInt = 20_000
    """Bytes of each other-language text on which predictions are compared with the base's."""
    speed_passages: NonNegativeInt = 12
    """Passages of held-out text on which base and last model are timed; 0 times nothing."""
    speed_characters: PositiveInt = 250
    """Length of each passage."""
    speed_rounds: PositiveInt = 2
    """How often each passage is timed; the best counts."""
    gold: list[str] = []
    """Turkish words whose morphemes people have marked, to compare token boundaries with: treebanks
    (CoNLL-U), lists of segmented words (Morpho Challenge), hand-tagged text (TrMor)."""
    parallel: list[str] = []
    """Turkish and English sentences, one pair per line with a tab between, that the models translate."""
    translations: PositiveInt = 100
    """Pairs that are translated, in both directions."""
    shots: PositiveInt = 4
    """Pairs that are shown before each translation."""
    tasks: dict[str, str] = {}
    """Questions in Turkish with right answers, each a name and a file, in the formats of TurkishMMLU, ARC,
    XCOPA, Belebele and XQuAD."""
    english_tasks: dict[str, str] = {}
    """The same in English, to see what is forgotten."""
    task_examples: PositiveInt = 500
    """Questions of each task that are asked."""
    task_shots: NonNegativeInt = 2
    """Questions that are shown with their answers before each."""
    resamples: PositiveInt = 1000
    """Bootstrap resamples behind each confidence interval."""
    seed: NonNegativeInt = 0
    """Chooses the documents that the model reads, the resamples and the examples."""

    @property
    def files(self) -> list[str]:
        """All files that these settings name."""
        return [*self.gold, *self.parallel, *self.tasks.values(), *self.english_tasks.values()]
