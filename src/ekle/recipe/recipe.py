"""A recipe: everything that decides what a run produces, read from one TOML file."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field, NonNegativeInt, ValidationError

from ekle.errors import InputError, RecipeError
from ekle.recipe.base import BaseModelSettings
from ekle.recipe.control import ControlSettings
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.release import ReleaseSettings
from ekle.recipe.section import Section, dotted, rename_keys, renamed_keys, warn_old_names, warn_renamed
from ekle.recipe.training import TrainingSettings
from ekle.recipe.vocabulary import VocabularySettings


class Recipe(Section):
    """One run: its name, its seed, and a section for each stage."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run; its folder is `runs/<name>`."""
    seed: NonNegativeInt = 0
    base: BaseModelSettings = BaseModelSettings()
    corpus: CorpusSettings = CorpusSettings()
    vocabulary: VocabularySettings = VocabularySettings()
    extension: ExtensionSettings = ExtensionSettings()
    training: TrainingSettings = TrainingSettings()
    control: ControlSettings = ControlSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    release: ReleaseSettings = ReleaseSettings()


def read_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file. `extends = "NAME"` at its top takes what it leaves out from that recipe, which may
            be any that `recipe_file` finds.
        overrides: `section.key=value` settings, the value in TOML notation; a value that is not
            TOML is taken as a string, so that `vocabulary.profile=compact` needs no quotes.

    Raises:
        InputError: there is no such file.
        RecipeError: it is not TOML, keys are unknown, missing or of the wrong type (all are named), or it
            extends itself.
    """
    return make_recipe(_content(path), overrides, origin=str(path))


def _content(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tables of a recipe, with what it leaves out taken from the one that it extends."""
    if path.resolve() in seen:
        raise RecipeError(f"{path} extends itself; extends must end at a recipe without it")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"there is no recipe {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    except RecursionError as error:
        raise RecipeError(f"{path} is nested too deep; a recipe has sections, keys and lists") from error
    if "extends" not in content:
        return content
    name = str(content.pop("extends"))
    beside = path.parent / name
    return _merged(
        _content(beside if beside.is_file() else recipe_file(name), (*seen, path.resolve())), content
    )


def _merged(content: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested tables, those of `over` on top."""
    merged = dict(content)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def make_recipe(content: dict[str, Any], overrides: Iterable[str] = (), origin: str = "the recipe") -> Recipe:
    """Check `content` with `overrides` applied; see `read_recipe` for both and for what is raised.

    Keys of an older ekle are read under their new names, and one RenamedWarning names them all.
    """
    try:
        content, renamed = _with_new_names(content, "")
    except ValueError as error:
        raise RecipeError(f"{origin}: {error}") from error
    for override in overrides:
        key, _, _ = override.partition("=")
        if (old := key.strip()) in RENAMED_KEYS:
            renamed[old] = RENAMED_KEYS[old]
            override = override.replace(old, renamed[old], 1)
        _apply(content, override)
    if renamed:
        warn_renamed(renamed, origin)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = [f"{_dotted(item['loc'])}: {_reason(item)}" for item in error.errors()]
        raise RecipeError(f"{origin}: " + "; ".join(problems)) from error


RENAMED_KEYS: dict[str, str] = dict(renamed_keys(Recipe))
"""Old dotted key to new dotted key, for every key that has a new name since ekle 0.1."""


def recorded_settings(settings: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """Settings by dotted key that a run has recorded, under new names; one RenamedWarning for the run."""
    if RENAMED_KEYS.keys() & settings.keys():
        warn_old_names(run)
    return {RENAMED_KEYS.get(key, key): value for key, value in settings.items()}


@cache
def default_settings() -> Mapping[str, Any]:
    """Every setting's default by dotted key, as JSON: what is meant by a record from before the setting."""
    return MappingProxyType(dict(dotted(Recipe(name="default").model_dump(mode="json"))))


def _with_new_names(content: dict[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A table of a recipe, and those inside it, under new names; the dotted names that were renamed."""
    names = {key: RENAMED_KEYS.get(prefix + key, prefix + key).removeprefix(prefix) for key in content}
    changed, found = rename_keys(content, {old: new for old, new in names.items() if old != new}, prefix)
    for key, value in changed.items():
        if isinstance(value, dict):
            changed[key], inside = _with_new_names(value, f"{prefix}{key}.")
            found |= inside
    return changed, found


def _apply(content: dict[str, Any], override: str) -> None:
    """Write one `a.b=value` into the nested `content`."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted.strip():
        raise RecipeError(f"--set {override}: write it as section.key=value")
    *path, last = dotted.strip().split(".")
    place = content
    for step in path:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise RecipeError(f"--set {override}: {step} is a value, not a section")
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = text.strip()
    except RecursionError as error:
        raise RecipeError(f"--set {override:.80}: its lists are nested too deep") from error


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location)


def _reason(item: Any) -> str:
    match item["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "missing"
        case "value_error":
            return str(item["ctx"]["error"])  # ours: it says what to do
        case "finite_number" | "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{item['msg'].replace('Input should', 'it must')} (got {item['input']!r:.80})"
        case _:
            return f"{item['msg']} (got {item['input']!r:.80})"


_PACKAGE = Path(__file__).parents[1]
_WHEEL, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes"
_SHIPPED = _WHEEL if _WHEEL.is_dir() else _CHECKOUT  # see force-include in pyproject.toml


def load_recipe(recipe: str | Path = "quickstart", overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        recipe: a TOML file, or the name of a recipe that comes with ekle, such as "quickstart".
        overrides: settings such as "training.steps=100", the value in TOML notation; a value that is not
            TOML is taken as a string.

    Raises:
        InputError: there is no such file and no such recipe.
        RecipeError: it is not TOML, keys are unknown, missing or of the wrong type (all are named), or it
            extends itself.
    """
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
