"""`[control]`: the unchanged base with the unchanged tokenizer, trained for the same compute."""

from pydantic import Field

from ekle.recipe.section import Section


class ControlSettings(Section):
    """The control is trained as `[training]` says; its steps follow from the operations that ours took."""

    train: bool = False
    """Whether a run trains a control and measures it too, as `ekle run --control` does."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Of the control's adapters, at its highest; None means `training.learning_rate`."""
