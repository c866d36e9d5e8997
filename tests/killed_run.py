"""A training in a process of its own, which tells where it is and can be killed there.

Processes are forked from one that has imported torch and transformers but has not computed anything, so
that each starts in a fraction of a second.
"""

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ekle.artifacts import Corpus, ExtendedModel
from ekle.progress import silent
from ekle.recipe import Recipe

_LONGEST_WAIT = 300.0  # seconds without news after which a child counts as stuck
_NEVER = 10**9
_CALLS = {"save adapter": 7_000, "save optimizer": 3_000, "save random state": 150}
"""Calls and returns that there are at least in each kind of save."""
Inside = tuple[str, int, int]
"""A moment, which time it comes, and how many calls into it."""

# What a child announces: the function, and the module that calls it.
_MOMENTS = (
    ("accumulate", "ekle.training.micro_batches", "Passes.accumulate"),
    ("measure", "ekle.training.monitoring.held_out", "HeldOut.measure"),
    ("log", "ekle.training.monitoring.training_log", "TrainingLog.append"),
    ("save adapter", "ekle.training.run_state", "save_adapter"),
    ("save optimizer", "ekle.training.run_state", "save_optimizer"),
    ("save random state", "ekle.training.run_state", "save_random_state"),
    ("remove", "ekle.training.checkpoints", "shutil.rmtree"),
    ("hand over", "ekle.training.stage", "write_results"),
)


def context() -> Any:
    """Starts children from a process that is warm."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["ekle.training.stage", "torch._dynamo", "killed_run"])
    return server


def train(
    recipe: str, corpus: Path, extended: Path, folder: Path, news: Connection, inside: Inside | None
) -> None:
    """The child: announces each moment when it begins and when it is over.

    With `inside` it kills itself there: a save is too short to be met from outside on a busy machine.
    """
    import importlib

    import torch

    torch.set_num_threads(1)
    fuse = None if inside is None else _Fuse(*inside)
    for name, module_name, path in _MOMENTS:
        owner: Any = importlib.import_module(module_name)
        *outer, leaf = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, leaf, _announced(name, getattr(owner, leaf), news, fuse))
    from ekle.training.stage import Inputs, run

    inputs = Inputs(Corpus(corpus), ExtendedModel(extended))
    run(Recipe.model_validate_json(recipe), inputs, folder, silent())


class _Fuse:
    """A profile function that ends the process in the moment `name`, the time numbered `time`, after `calls`
    calls and returns in it."""

    def __init__(self, name: str, time: int, calls: int) -> None:
        self._name, self._time, self._calls = name, time, calls

    def light(self, name: str) -> None:
        """A moment begins."""
        self._time -= name == self._name
        if self._time == 0 and name == self._name:
            sys.setprofile(self)

    def __call__(self, *_: Any) -> None:
        self._calls -= 1
        if self._calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _announced(
    name: str, function: Callable[..., Any], news: Connection, fuse: _Fuse | None
) -> Callable[..., Any]:
    def announced(*args: Any, **kwargs: Any) -> Any:
        news.send(f"begin {name}")
        if fuse is not None:
            fuse.light(name)
        try:
            return function(*args, **kwargs)
        finally:
            sys.setprofile(None)
            news.send(f"end {name}")

    return announced


def killed_at(process: Any, news: Connection, moments: int, delay: float) -> str | None:
    """Kill a child `delay` seconds after its news number `moments`; what it was doing.

    None where it was done before that. A child may also have killed itself.
    """
    doing: list[str] = []
    for _ in range(moments):
        assert news.poll(_LONGEST_WAIT), "the child is stuck"
        try:
            _follow(doing, news.recv())
        except EOFError:
            process.join(_LONGEST_WAIT)
            assert process.exitcode in (0, -signal.SIGKILL)
            return ", ".join(doing) if process.exitcode else None
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join(_LONGEST_WAIT)
    try:
        while news.poll(0):
            _follow(doing, news.recv())
    except (EOFError, OSError):
        pass  # the pipe ends where the child did
    return ", ".join(doing) if process.exitcode == -signal.SIGKILL else None


def _follow(doing: list[str], message: str) -> None:
    what, _, name = message.partition(" ")
    if what == "begin":
        doing.append(name)
    else:
        doing.remove(name)


def run_and_kill(
    arguments: tuple[str, Path, Path, Path], dice: random.Random, longest: int
) -> tuple[str | None, list[str]]:
    """One attempt that is killed after a random number of news, at most `longest`, or as often in a save.

    Returns:
        What the child was doing, None where it came to its end; and what it left half written.
    """
    if dice.random() < 0.5:
        return _attempt(arguments, dice.randint(1, longest), dice.uniform(0, 0.004))
    name = dice.choice(list(_CALLS))
    return _attempt(arguments, _NEVER, 0.0, (name, dice.randint(1, 3), dice.randint(1, _CALLS[name])))


def run_through(arguments: tuple[str, Path, Path, Path]) -> None:
    """One attempt that nobody kills."""
    doing, _ = _attempt(arguments, _NEVER, 0.0)
    assert doing is None


def _attempt(
    arguments: tuple[str, Path, Path, Path], moments: int, delay: float, inside: Inside | None = None
) -> tuple[str | None, list[str]]:
    server = context()
    ours, theirs = server.Pipe(duplex=False)
    process = server.Process(target=train, args=(*arguments, theirs, inside))
    process.start()
    theirs.close()
    doing = killed_at(process, ours, moments, delay)
    ours.close()
    return doing, sorted(path.name for path in arguments[3].rglob(".*.partial"))
