"""Trackers: every line of the training log, sent to a program that draws it.

The log itself is always `history.jsonl`. A tracker is for those who want to watch curves. TensorBoard's files
are in the run folder, and a resumed run goes on in them. All trackers are transformers' own integrations,
called through its public callbacks. They take their settings from where they always do, such as environment
variables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never

from ekle.errors import InputError
from ekle.model.distributed import is_main_process
from ekle.recipe.training import Tracker
from ekle.training.run_state import RunSetup


@contextmanager
def tracked(setup: RunSetup, step: int, use_cpu: bool) -> Iterator[None]:
    """Inside, the tracker of the recipe receives every line of the log; in the main process alone.

    Args:
        setup: the run.
        step: steps done; what an interrupted run sent of later ones is withdrawn, if the tracker can.
        use_cpu: whether the run computes on a CPU.

    Raises:
        InputError: the tracker's package is not installed.
    """
    if setup.settings.tracker == "none" or not is_main_process():
        yield
        return
    from transformers import TrainerControl, TrainerState

    callbacks = _callbacks(setup.settings.tracker, setup.history.path.parent / "tensorboard", step)
    arguments, state, control = _arguments(setup, use_cpu), TrainerState(), TrainerControl()

    def send(line: dict[str, Any]) -> None:
        state.global_step = line["step"]
        for callback in callbacks:
            callback.on_log(arguments, state, control, model=setup.objective, logs=dict(line))

    for callback in callbacks:
        callback.on_train_begin(arguments, state, control, model=setup.objective)
    setup.history.listener = send
    yield
    setup.history.listener = None
    for callback in callbacks:  # not after an error: the program then notices by itself that the run ended
        callback.on_train_end(arguments, state, control, model=setup.objective)


def _callbacks(name: Tracker, folder: Path, step: int) -> list[Any]:
    """transformers' integrations of one tracker; TensorBoard writes into `folder`."""
    from transformers.integrations import TensorBoardCallback, get_reporting_integration_callbacks

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


def _arguments(setup: RunSetup, use_cpu: bool) -> Any:
    """The run's settings as transformers names them; its integrations show them so."""
    from transformers import TrainingArguments

    settings = setup.settings
    return TrainingArguments(
        output_dir=str(setup.checkpoints.folder),
        max_steps=settings.steps,
        per_device_train_batch_size=setup.sizes.batch_size,
        gradient_accumulation_steps=setup.sizes.accumulation,
        max_grad_norm=settings.gradient_clip,
        learning_rate=settings.learning_rate,
        seed=setup.seed,
        use_cpu=use_cpu,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        # Otherwise accelerate would set up the processes again.
        accelerator_config={"use_configured_state": True},
    )
