"""The typed recipe: one file a section, one owner for every default."""

from ekle.recipe.recipe import Recipe, make_recipe, read_recipe

__all__ = ["Recipe", "make_recipe", "read_recipe"]
