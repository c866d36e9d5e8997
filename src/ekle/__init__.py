"""ekle extends Qwen3 with Turkish.

The names below are the library; everything else is the inside of the house and may move. They are
imported when first used, because torch takes seconds and most of them need none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ekle.errors import EkleError
    from ekle.pipeline.api import (
        compare,
        evaluate,
        export,
        extend_model,
        extend_tokenizer,
        learn_vocabulary,
        train,
    )
    from ekle.pipeline.run import run
    from ekle.recipe import Recipe
    from ekle.recipe.recipe import load_recipe

__all__ = [
    "EkleError",
    "Recipe",
    "compare",
    "evaluate",
    "export",
    "extend_model",
    "extend_tokenizer",
    "learn_vocabulary",
    "load_recipe",
    "run",
    "train",
]

_HOME = {
    "EkleError": "ekle.errors",
    "Recipe": "ekle.recipe",
    "load_recipe": "ekle.recipe.recipe",
    "run": "ekle.pipeline.run",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ekle' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "ekle.pipeline.api")), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
