"""What every section of a recipe has in common, and what becomes of keys that have new names."""

import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from ekle.errors import RenamedWarning


class Section(BaseModel):
    """A part of a recipe: typed, complete, and unchanged once read.

    Unknown keys are errors, because a mistyped key that is ignored costs a night of training.
    """

    # TOML has inf and nan; a limit that is never reached is None or 0, where a setting knows it.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Old key to new key, for one version: the old one is read, and a RenamedWarning says so."""

    @field_validator("*", mode="before")
    @classmethod
    def _fits_a_machine_number(cls, value: Any) -> Any:
        # Python's integers and TOML's have no end; those of numpy, polars and torch have 64 bits.
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("it has more than 64 bits")
        return value

    @model_validator(mode="before")
    @classmethod
    def _read_old_keys(cls, content: Any) -> Any:
        old = cls.RENAMED.keys() & content.keys() if isinstance(content, dict) else set()
        if not old:
            return content
        content, renamed = rename_keys(content, cls.RENAMED)
        warn_renamed(renamed, cls.__name__, stacklevel=3)
        return content


def rename_keys(
    content: Mapping[str, Any], names: Mapping[str, str], prefix: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """`content` with the keys in `names` under their new names, and the renamed ones, old to new.

    `prefix` is what the keys of the table are called with in full, such as "training.guard.".

    Raises:
        ValueError: both names of a key are there.
    """
    renamed = {key: names[key] for key in content if key in names}
    for old, new in renamed.items():
        if new in content:
            raise ValueError(f"{prefix}{old} is the old name of {prefix}{new}; give one of the two")
    full = {prefix + old: prefix + new for old, new in renamed.items()}
    return {names.get(key, key): value for key, value in content.items()}, full


def warn_renamed(renamed: Mapping[str, str], where: str, stacklevel: int = 2) -> None:
    """One RenamedWarning for all keys of `renamed`, old to new, that were read in `where`."""
    pairs = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
    warnings.warn(f"{where}: {pairs}; ekle 0.3 drops the old names", RenamedWarning, stacklevel + 1)


@cache
def warn_old_names(place: Path) -> None:
    """One RenamedWarning, however often it is read, that ekle 0.1 wrote the run or vocabulary `place`."""
    warnings.warn(
        f"{place}: ekle 0.1 wrote it; its old names are read as the new ones; ekle 0.3 drops the old names",
        RenamedWarning,
        stacklevel=2,
    )


def renamed_keys(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The old and the new dotted name of every renamed key in `section` and the sections inside it."""
    for old, new in section.RENAMED.items():
        yield prefix + old, prefix + new
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from renamed_keys(field.annotation, f"{prefix}{key}.")


def dotted(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested tables under its dotted name, such as ("training.dora.rank", 64)."""
    if not isinstance(content, dict):
        yield prefix, content
        return
    for key, inner in content.items():
        yield from dotted(inner, f"{prefix}.{key}" if prefix else key)
