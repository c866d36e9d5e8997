"""The arms: two recipes, what lies between them, three optimisers, and the order of the text.

What is recommended is said in recipes/qwen3-8b-turkish-recommended.toml alone: a value that changes there
changes the arms, and only those whose settings changed are run again.
"""

from dataclasses import dataclass
from typing import Any, get_args

from ekle.recipe import Recipe
from ekle.recipe.load import load_recipe
from ekle.recipe.recipe import make_recipe
from ekle.recipe.training import Optimizer

from .measuring import Job
from .sizes import Size
from .translate import Reading, to_laboratory

GUIDE, RECOMMENDED = "qwen3-8b-turkish", "qwen3-8b-turkish-recommended"


@dataclass(frozen=True)
class Difference:
    """Settings of the recipes that differ for one reason."""

    name: str
    keys: tuple[str, ...]
    why: str


DIFFERENCES = [
    Difference(
        "rate",
        ("training.learning_rate",),
        "With the adapters' scale a step of the guide's moves the outputs far more than an ordinary run's.",
    ),
    Difference(
        "scale",
        ("training.dora.alpha",),
        "The scale of the adapters is alpha / sqrt(rank): 2 is that of an ordinary LoRA run.",
    ),
    Difference(
        "rows rate",
        ("training.rows_learning_rate",),
        "New rows start far from where they belong; the rest of the model does not.",
    ),
    Difference(
        "noise",
        ("training.neftune.alpha", "training.neftune.noise"),
        "NEFTune was made for few texts that are read several times; here no text comes twice.",
    ),
    Difference(
        "curvature",
        ("training.sophia.rho",),
        "With rho 0.01 nearly every coordinate is clipped to its sign; 0.04 is the paper's.",
    ),
    Difference(
        "vocabulary",
        ("vocabulary.strategy",),
        "Quotas take tokens that save less than the best ones do.",
    ),
]


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """Every setting that differs, by its dotted name; the names of the recipes do not count."""
    left, right = (_flat(recipe.model_dump(mode="json")) for recipe in (one, other))
    found = {key: (left.get(key), right.get(key)) for key in {*left, *right} - {"name"}}
    return {key: values for key, values in sorted(found.items()) if values[0] != values[1]}


def with_settings(recipe: Recipe, other: Recipe, keys: tuple[str, ...]) -> Recipe:
    """`recipe` with the settings `keys` as `other` has them."""
    content, given = recipe.model_dump(mode="json"), other.model_dump(mode="json")
    for key in keys:
        *path, last = key.split(".")
        place, source = content, given
        for step in path:
            place, source = place[step], source[step]
        place[last] = source[last]
    return make_recipe(content)


def ends(size: Size, width: int) -> list[Job]:
    """Both recipes, with all seeds."""
    return [
        _job(name, load_recipe(name), size, width, seed)
        for seed in range(size.seeds)
        for name in (GUIDE, RECOMMENDED)
    ]


def readings(size: Size, width: int) -> dict[Reading, Job]:
    """The guide with its rate understood in each way."""
    guide = load_recipe(GUIDE)
    names = {reading: f"{GUIDE}, {reading}" for reading in get_args(Reading)[1:]}
    return {
        get_args(Reading)[0]: _job(GUIDE, guide, size, width, 0),
        **{
            reading: Job(name, _seeded(to_laboratory(guide, size, width, reading), 0))
            for reading, name in names.items()
        },
    }


def changes(size: Size, width: int) -> list[tuple[Difference, Job, Job]]:
    """For each difference the guide with it, and the recommended recipe without it."""
    guide, recommended = load_recipe(GUIDE), load_recipe(RECOMMENDED)
    return [
        (
            difference,
            _job(
                f"guide, {difference.name}",
                with_settings(guide, recommended, difference.keys),
                size,
                width,
                0,
            ),
            _job(
                f"recommended, no {difference.name}",
                with_settings(recommended, guide, difference.keys),
                size,
                width,
                0,
            ),
        )
        for difference in DIFFERENCES
    ]


def optimised(optimizer: Optimizer, rate: float, seed: int, size: Size, width: int) -> Job:
    """The recommended recipe with an optimiser and a rate of the adapters in the laboratory's terms."""
    recipe = to_laboratory(load_recipe(RECOMMENDED), size, width)
    training = recipe.training
    assert training.rows_learning_rate is not None, "the translation names it"
    rows = training.rows_learning_rate * rate / training.learning_rate
    changed = {"optimizer": optimizer, "learning_rate": rate, "rows_learning_rate": rows}
    return Job(f"{optimizer} {rate:g}", _seeded(_training(recipe, **changed), seed))


def curriculum(size: Size, width: int) -> dict[str, list[Job]]:
    """The recommended recipe in random order, and with easy text first; all seeds."""
    shuffled = load_recipe(RECOMMENDED)
    orders = {"shuffled": shuffled, "easy first": _training(shuffled, curriculum={"pacing": "root"})}
    return {
        name: [_job(name, recipe, size, width, seed) for seed in range(size.seeds)]
        for name, recipe in orders.items()
    }


def _job(name: str, recipe: Recipe, size: Size, width: int, seed: int) -> Job:
    return Job(name, _seeded(to_laboratory(recipe, size, width), seed))


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"seed": seed})


def _training(recipe: Recipe, **changed: Any) -> Recipe:
    content = recipe.model_dump(mode="json")
    content["training"] |= changed
    return make_recipe(content)


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
