"""Finding a recipe: a file of the user's, or one that comes with ekle."""

from collections.abc import Iterable
from pathlib import Path

from ekle.errors import InputError
from ekle.recipe.recipe import Recipe, read_recipe

_PACKAGE = Path(__file__).parents[1]
_WHEEL, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes"
_SHIPPED = _WHEEL if _WHEEL.is_dir() else _CHECKOUT  # see force-include in pyproject.toml


def load_recipe(recipe: str | Path = "quickstart", overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe; see `recipe_file` for what `recipe` may be and `read_recipe` for the rest."""
    return read_recipe(recipe_file(recipe), overrides)


def recipe_file(recipe: str | Path) -> Path:
    """The file that `recipe` means.

    A path that exists is meant literally. Otherwise `quickstart`, `quickstart.toml` and
    `recipes/quickstart.toml` all mean the recipe of that name that comes with ekle, so that the
    commands of the documentation work outside a checkout too.

    Raises:
        InputError: there is no such file and no such recipe.
    """
    path = Path(recipe)
    if path.exists():
        return path
    name = path.name.removesuffix(".toml")
    if path.parent in (Path(), Path("recipes")) and name in shipped_recipes():
        return _SHIPPED / f"{name}.toml"
    raise InputError(f"there is no recipe {recipe}; with ekle come {', '.join(shipped_recipes())}")


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with ekle."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))
