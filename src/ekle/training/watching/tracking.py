"""Trackers: the lines of the log, sent to a program that draws them.

The log itself is always `history.jsonl`; a tracker is for who wants curves that move. TensorBoard's files
lie in the run folder and go on where a resumed run goes on. All others are transformers' own integrations
and take their settings from where they always do, such as environment variables.
"""

from pathlib import Path
from typing import assert_never

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, get_reporting_integration_callbacks

from ekle.errors import InputError
from ekle.recipe.training import Tracker


def trackers(name: Tracker, folder: Path, step: int) -> list[TrainerCallback]:
    """Callbacks that hear of every line of the log.

    Args:
        name: which tracker.
        folder: where TensorBoard's files go.
        step: steps done; what an interrupted run sent of later ones is withdrawn, where the tracker can.

    Raises:
        InputError: the tracker's package is not installed.
    """
    try:
        match name:
            case "none":
                return []
            case "tensorboard":
                from torch.utils.tensorboard import SummaryWriter

                return [TensorBoardCallback(SummaryWriter(str(folder), purge_step=step + 1))]
            case "trackio" | "wandb" | "mlflow" | "swanlab":
                return [callback() for callback in get_reporting_integration_callbacks(name)]
            case _:
                assert_never(name)
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f'training.tracker = "{name}" needs the package {name}: install it, or set the tracker to "none"'
        ) from error
