"""Choosing what is learned: by value alone (`free`), or by quotas a category (`guide`)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ekle.bpe.continued import Learned, Phase, learn_merges
from ekle.errors import VocabularyError
from ekle.progress import Report
from ekle.recipe.vocabulary import Quotas
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.categories import Categories, Category
from ekle.vocabulary.material import Material


class Places:
    """The places that quotas give to each category, while tokens take them.

    A frequent word whose category is full may still stand for what it is besides: a root or a complex form.
    """

    def __init__(self, quotas: Quotas, categories: Categories) -> None:
        self.left: dict[Category, int] = {
            "word": quotas.words,
            "suffix": quotas.suffixes,
            "root": quotas.roots,
            "complex": quotas.complex,
            "pattern": quotas.patterns,
        }
        self.taken: dict[bytes, Category] = {}
        self._categories = categories

    def take(self, token: bytes) -> bool:
        """Give `token` a place in the first of its categories that has one."""
        about = self._categories.describe(token.decode("utf-8"))
        for category in (about.category, *about.besides):
            if self.left[category] > 0:
                self.left[category] -= 1
                self.taken[token] = category
                return True
        return False

    def take_suffix(self, token: bytes) -> bool:
        """Give `token` a place if it is a suffix or a chain of suffixes."""
        return self._categories.describe(token.decode("utf-8")).category == "suffix" and self.take(token)


@dataclass(frozen=True)
class Choice:
    """What was learned, and how the quotas were met."""

    learned: Learned
    by_quota: dict[bytes, Category]
    """The category of each token that took a place by quota."""
    unfilled: dict[str, int]
    """Places that each category left to the others."""


def choose(
    material: Material,
    tokens: Sequence[bytes | None],
    settings: Settings,
    categories: Categories,
    size: int,
    report: Report,
) -> Choice:
    """Learn `size` merges as `settings.strategy` asks.

    A piece that a later merge would leave with fewer than `min_count` occurrences keeps them, unless that
    merge saves `step_gain` tokens. Merges that were left for this are taken when nothing else is left, the
    most frequent first.

    Raises:
        VocabularyError: the quotas do not add up, or the text does not support so many tokens.
    """
    least = settings.min_count if settings.min_count > 1 else 0
    gain = settings.step_gain
    anything = [Phase(least_use=least, step_gain=gain), Phase()]
    quotas = settings.quotas
    places = Places(quotas, categories)
    left: dict[str, int] = {}
    phases: list[Phase] = anything
    if settings.strategy == "guide":
        _check(quotas, settings.size)

        def note(token: bytes) -> bool:
            # Asked when quotas have taken what they can: what is left now is what they leave.
            left.update(left or {str(category): free for category, free in places.left.items() if free})
            return True

        # Suffixes first: words that grow before them would swallow the occurrences that chains need.
        phases = [
            Phase(places.take_suffix, quotas.suffixes, least),
            Phase(places.take, None, least),
            Phase(note, None, least),
            Phase(note),
        ]
    with report.task("learning merges", size, "merge") as task:
        learned = _learn(material, tokens, settings, size, phases, task.advance)
    if len(learned.merges) < size:
        cuts = ", or a larger vocabulary.keep_whole" if settings.profile == "morphological" else ""
        raise VocabularyError(
            f"this text supports {len(learned.merges):,} tokens that occur {settings.min_count:,} times, "
            f"not {size:,}; give more text, a smaller --size, or a smaller vocabulary.min_count{cuts}"
        )
    return Choice(learned, places.taken, left)


def _learn(
    material: Material,
    tokens: Sequence[bytes | None],
    settings: Settings,
    size: int,
    phases: Sequence[Phase],
    learned: Callable[[int], None],
) -> Learned:
    return learn_merges(
        material.pieces,
        material.worth,
        tokens,
        size=size,
        min_count=settings.min_count,
        cost=material.cost,
        phases=phases,
        learned=learned,
    )


def _check(quotas: Quotas, size: int) -> None:
    total = Counter(quotas.model_dump()).total()
    if total != size:
        raise VocabularyError(f"vocabulary.quotas add up to {total:,}, but vocabulary.size is {size:,}")
