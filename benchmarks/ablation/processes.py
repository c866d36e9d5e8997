"""Tasks in a few processes that share the CPU's cores."""

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import TypeVar

import torch
from transformers.utils import logging

Task = TypeVar("Task")


def run_tasks(
    tasks: Mapping[Task, "partial[None]"], processes: int, report_done: Callable[[Task], None]
) -> None:
    """Run `tasks` in their order, `processes` of them at once.

    The processes are spawned: they do not inherit the threads of this one. The number of threads decides the
    last bits of a result.

    Args:
        tasks: functions of modules with their arguments; both are pickled.
        processes: how many run at once, each with its share of the cores (on a GPU: 1).
        report_done: called in this process after each task, with its key.
    """
    if not tasks:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_prepare_process, initargs=(processes,)
    ) as pool:
        running = {pool.submit(function): task for task, function in tasks.items()}
        try:
            for future in as_completed(running):
                future.result()
                report_done(running[future])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _prepare_process(processes: int) -> None:
    """Divide the threads among the processes, and hide the progress bars of transformers."""
    logging.disable_progress_bar()
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # several times as fast, and the same for all variants
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
