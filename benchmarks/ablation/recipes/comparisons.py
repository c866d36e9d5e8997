"""The variants: two recipes, the differences between them, three optimisers, and the order of the text.

The recommended values are those of recipes/qwen3-8b-turkish-recommended.toml, and nothing repeats them here.
After a change of that file only the variants whose settings changed are run again.
"""

from dataclasses import dataclass
from typing import Any, get_args

from benchmarks.ablation.recipes.scaling import RateScaling, TrainingSize, scale_recipe
from benchmarks.ablation.recipes.training_runs import RecipeVariant
from ekle.recipe import Recipe
from ekle.recipe.recipe import load_recipe, make_recipe
from ekle.recipe.section import dotted
from ekle.recipe.training import Optimizer

GUIDE, RECOMMENDED = "qwen3-8b-turkish", "qwen3-8b-turkish-recommended"


@dataclass(frozen=True)
class Difference:
    """Settings that differ between the recipes for one reason."""

    name: str
    keys: tuple[str, ...]
    why: str


DIFFERENCES = [
    Difference(
        "rate",
        ("training.learning_rate",),
        "At the guide's rate and scale, a step moves the outputs far more than in an ordinary run.",
    ),
    Difference(
        "scale",
        ("training.dora.alpha",),
        "The scale of the adapters is alpha / sqrt(rank): 2 is that of an ordinary LoRA run.",
    ),
    Difference(
        "rows rate",
        ("training.rows_learning_rate",),
        "New rows start far from their final values; the rest of the model does not.",
    ),
    Difference(
        "noise",
        ("training.neftune.alpha", "training.neftune.noise"),
        "NEFTune was made for few texts that are read several times; here no text is read twice.",
    ),
    Difference(
        "optimiser",
        ("training.optimizer", "training.state_precision"),
        "Muon keeps one average of A and B, so 40 GB are enough without a state in 16 bits.",
    ),
    Difference(
        "curvature",
        ("training.sophia.rho",),
        "With rho 0.01 nearly every coordinate of Sophia's step is clipped to its sign; the paper has 0.04. "
        "Muon does not use this setting, so nothing changes without it.",
    ),
    Difference(
        "rows",
        ("extension.init",),
        "Mapped rows start nearer to the base than the rows of any other rule.",
    ),
    Difference(
        "vocabulary",
        ("vocabulary.strategy",),
        "Quotas take tokens that save less than the best tokens.",
    ),
]


ALTERNATIVES: dict[str, dict[str, Any]] = {
    "rows faster": {"training.rows_learning_rate": 1.5e-3},
    "rows slower": {"training.rows_learning_rate": 1.7e-4},
    "rows first": {"training.rows_first": 0.1},
    "rows by subword": {"extension.init": "subword"},
    "aligned": {"training.alignment.steps": 200},
    "merge dropout": {"training.merge_dropout": 0.1},
    "half the rank": {"training.dora.rank": 256, "training.dora.alpha": 32.0, "training.learning_rate": 2e-4},
    "a little noise": {"training.neftune.alpha": 5.0},
    "no replay": {"training.replay_share": 0.0},
    "twice the replay": {"training.replay_share": 0.4},
}
"""What the recommended recipe might add or replace, in settings for Qwen3-8B."""


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """Every setting that differs, by its dotted name; the recipes' own names are left out."""
    left, right = (dict(dotted(recipe.model_dump(mode="json"))) for recipe in (one, other))
    found = {key: (left.get(key), right.get(key)) for key in {*left, *right} - {"name"}}
    return {key: values for key, values in sorted(found.items()) if values[0] != values[1]}


def with_settings(recipe: Recipe, other: Recipe, keys: tuple[str, ...]) -> Recipe:
    """`recipe` with the settings `keys` as `other` has them."""
    given = dict(dotted(other.model_dump(mode="json")))
    return _changed(recipe, {key: given[key] for key in keys})


def both_recipes(size: TrainingSize, width: int) -> list[RecipeVariant]:
    """Both recipes, with all seeds."""
    return [
        _variant(name, load_recipe(name), size, width, seed)
        for seed in range(size.seeds)
        for name in (GUIDE, RECOMMENDED)
    ]


def rate_scalings(size: TrainingSize, width: int) -> dict[RateScaling, RecipeVariant]:
    """The guide's recipe with each scaling of its rate."""
    guide = load_recipe(GUIDE)
    names = {rate_scaling: f"{GUIDE}, {rate_scaling}" for rate_scaling in get_args(RateScaling)[1:]}
    return {
        get_args(RateScaling)[0]: _variant(GUIDE, guide, size, width, 0),
        **{
            rate_scaling: RecipeVariant(name, _seeded(scale_recipe(guide, size, width, rate_scaling), 0))
            for rate_scaling, name in names.items()
        },
    }


def one_by_one(size: TrainingSize, width: int) -> list[tuple[Difference, RecipeVariant, RecipeVariant]]:
    """For each difference: the guide's recipe with it, and the recommended recipe without it."""
    guide, recommended = load_recipe(GUIDE), load_recipe(RECOMMENDED)
    return [
        (
            difference,
            _variant(
                f"guide, {difference.name}",
                with_settings(guide, recommended, difference.keys),
                size,
                width,
                0,
            ),
            _variant(
                f"recommended, no {difference.name}",
                with_settings(recommended, guide, difference.keys),
                size,
                width,
                0,
            ),
        )
        for difference in DIFFERENCES
    ]


def alternatives(size: TrainingSize, width: int) -> dict[str, RecipeVariant]:
    """The recommended recipe with each of `ALTERNATIVES`, one seed."""
    recommended = load_recipe(RECOMMENDED)
    return {
        name: _variant(f"recommended, {name}", _changed(recommended, settings), size, width, 0)
        for name, settings in ALTERNATIVES.items()
    }


def with_optimizer(
    optimizer: Optimizer, multiple: float, seed: int, size: TrainingSize, width: int
) -> RecipeVariant:
    """The recommended recipe with an optimiser, and both rates times `multiple`."""
    recipe = scale_recipe(load_recipe(RECOMMENDED), size, width)
    training = recipe.training
    assert training.rows_learning_rate is not None, "scale_recipe sets it"
    changed = {
        "training.optimizer": optimizer,
        "training.learning_rate": training.learning_rate * multiple,
        "training.rows_learning_rate": training.rows_learning_rate * multiple,
    }
    return RecipeVariant(
        f"{optimizer} at {multiple:.2g} x the rate", _seeded(_changed(recipe, changed), seed)
    )


def curriculum(size: TrainingSize, width: int) -> dict[str, list[RecipeVariant]]:
    """The recommended recipe in random order, and with easy text first; all seeds."""
    shuffled = load_recipe(RECOMMENDED)
    orders = {"shuffled": shuffled, "easy first": _changed(shuffled, {"training.curriculum.pacing": "root"})}
    return {
        name: [_variant(name, recipe, size, width, seed) for seed in range(size.seeds)]
        for name, recipe in orders.items()
    }


def _variant(name: str, recipe: Recipe, size: TrainingSize, width: int, seed: int) -> RecipeVariant:
    return RecipeVariant(name, _seeded(scale_recipe(recipe, size, width), seed))


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"seed": seed})


def _changed(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """`recipe` with settings by their dotted names."""
    content = recipe.model_dump(mode="json")
    for key, value in settings.items():
        *path, last = key.split(".")
        place = content
        for step in path:
            place = place[step]
        place[last] = value
    return make_recipe(content)
