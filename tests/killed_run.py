"""A training in a process of its own, which tells where it is and can be killed there.

Processes are forked from one that has imported torch and transformers but has not computed anything, so
that each starts in a fraction of a second.
"""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ekle.artifacts import Corpus, ExtendedModel
from ekle.progress import silent
from ekle.recipe import Recipe

_LONGEST_WAIT = 300.0  # seconds without news after which a child counts as stuck

# What a child announces: the function, and the module that calls it.
_MOMENTS = (
    ("learn", "ekle.training.passes", "Passes.learn"),
    ("measure", "ekle.training.watching.held_out", "HeldOut.measure"),
    ("log", "ekle.training.watching.history", "History.append"),
    ("save adapter", "ekle.training.run_state", "save_adapter"),
    ("save optimizer", "ekle.training.run_state", "save_optimizer"),
    ("save random state", "ekle.training.run_state", "save_random_state"),
    ("remove", "ekle.training.checkpoints", "_remove"),
    ("hand over", "ekle.training.stage", "write_results"),
)


def context() -> Any:
    """Starts children from a process that is warm."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["ekle.training.stage", "torch._dynamo", "killed_run"])
    return server


def train(recipe: str, corpus: Path, extended: Path, folder: Path, news: Connection) -> None:
    """The child: announces each moment when it begins and when it is over."""
    import importlib

    import torch

    torch.set_num_threads(1)
    for name, module_name, path in _MOMENTS:
        owner: Any = importlib.import_module(module_name)
        *outer, leaf = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, leaf, _announced(name, getattr(owner, leaf), news))
    from ekle.training.stage import Inputs, run

    inputs = Inputs(Corpus(corpus), ExtendedModel(extended))
    run(Recipe.model_validate_json(recipe), inputs, folder, silent())


def _announced(name: str, function: Callable[..., Any], news: Connection) -> Callable[..., Any]:
    def announced(*args: Any, **kwargs: Any) -> Any:
        news.send(f"begin {name}")
        try:
            return function(*args, **kwargs)
        finally:
            news.send(f"end {name}")

    return announced


def killed_at(process: Any, news: Connection, moments: int, delay: float, where: str = "") -> str | None:
    """Kill a child `delay` seconds after its news number `moments`; what it was doing.

    With `where`, `delay` seconds after the first news from then on by which it is about something so called.
    None where it was done before that.
    """
    doing: list[str] = []
    heard = 0
    while heard < moments or not any(where in name for name in doing or [""]):
        assert news.poll(_LONGEST_WAIT), "the child is stuck"
        try:
            _follow(doing, news.recv())
            heard += 1
        except EOFError:
            process.join(_LONGEST_WAIT)
            assert process.exitcode == 0
            return None
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
    """One attempt that is killed after a random number of news, at most `longest`.

    Every other one, by chance, waits from there for the next save, which is short and would seldom be met.

    Returns:
        What the child was doing, None where it came to its end; and what it left half written.
    """
    server = context()
    ours, theirs = server.Pipe(duplex=False)
    process = server.Process(target=train, args=(*arguments, theirs))
    process.start()
    theirs.close()
    where = dice.choice(("", "save"))
    doing = killed_at(process, ours, dice.randint(1, longest), dice.uniform(0, 0.004), where)
    ours.close()
    return doing, sorted(path.name for path in arguments[3].rglob(".*.partial"))


def run_through(arguments: tuple[str, Path, Path, Path]) -> None:
    """One attempt that nobody kills."""
    doing, _ = run_and_kill(arguments, _Never(), 0)
    assert doing is None


class _Never(random.Random):
    """Dice for a run that is never killed."""

    def randint(self, a: int, b: int) -> int:
        return 10**9

    def uniform(self, a: float, b: float) -> float:
        return 0.0

    def choice(self, seq: Any) -> Any:
        return seq[0]
