"""The tensors of a folder are held against its config.json."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ekle.errors import CheckpointError
from ekle.model.checkpoint.loading import check_complete
from ekle.model.checkpoint.weights import open_weights


def checked(base: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Check the base with other tensors."""
    tensors = load_file(base / "model.safetensors")
    change(tensors)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    with open_weights(folder) as weights:
        check_complete(weights)


@pytest.mark.parametrize("tied", [False, True])
def test_a_whole_model_passes_and_so_do_buffers_of_older_checkpoints(tiny_base: Path, tmp_path: Path) -> None:
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
    checked(tiny_base, tmp_path / "m", lambda tensors: tensors.update(buffer))


def test_what_is_missing_is_named_and_counted(tiny_base: Path, tmp_path: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("model.layers.1.")]:
            del tensors[name]

    with pytest.raises(CheckpointError, match=r"lacks model\.layers\.1\.\S+ and 10 more of its tensors"):
        checked(tiny_base, tmp_path / "m", drop)
