"""The typed recipe: one file per section, one owner for every default."""

from ekle.recipe.recipe import RENAMED_KEYS, Recipe, make_recipe, read_recipe

__all__ = ["RENAMED_KEYS", "Recipe", "make_recipe", "read_recipe"]
