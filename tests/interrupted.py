"""A training that is killed in this process at a chosen moment, and whether two trainings ended alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ekle.training.micro_batches import Passes


class Killed(BaseException):
    """Like a Ctrl-C."""


@contextmanager
def killed_at(call: int, owner: Any = Passes, name: str = "accumulate") -> Iterator[None]:
    """What is inside comes to call number `call`, from 1, of `owner.name`, and is killed there."""
    original, made = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        made += 1
        if made == call:
            raise Killed
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, counted)
        with pytest.raises(Killed):
            yield


def assert_same(first: Path, second: Path) -> None:
    """The tensors of two training folders, those of their checkpoints included, are the same bit for bit."""
    ours, theirs = _tensors(first), _tensors(second)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.relative_to(folder)}:{name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
