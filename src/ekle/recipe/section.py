"""What every section of a recipe has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe: typed, complete, and unchanged once read.

    Unknown keys are errors, because a mistyped key that is ignored costs a night of training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
