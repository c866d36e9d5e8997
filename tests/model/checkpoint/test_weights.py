"""Safetensors folders pass through tensor by tensor, and damaged ones are refused in a line."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from ekle.errors import CheckpointError, SpaceError
from ekle.model.checkpoint.safetensors_file import raw_bytes
from ekle.model.checkpoint.weights import check_space, open_weights, write_weights


def copy(base: Path, to: Path) -> Path:
    shutil.copytree(base, to)
    return to


def test_what_is_written_in_shards_is_read_back_with_the_same_digests(
    tiny_base: Path, tmp_path: Path
) -> None:
    with open_weights(tiny_base) as weights:
        tensors = {name: weights.read(name) for name in weights.names()}
    shutil.copyfile(tiny_base / "config.json", tmp_path / "config.json")
    digests = write_weights(tmp_path, iter(tensors.items()), shard_bytes=30_000)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    with open_weights(tmp_path) as again:
        assert again.names() == sorted(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(again.read(name), tensor)
            assert digests[name] == sha256(raw_bytes(tensor)).hexdigest()
            assert torch.equal(again.rows(name, 1, 3), tensor[1:3])


def test_a_small_model_is_one_file(tmp_path: Path) -> None:
    write_weights(tmp_path, [("a", torch.ones(2)), ("b", torch.zeros(3))], shard_bytes=1000)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_missing_shard_is_named(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy(tiny_base, tmp_path / "m")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(CheckpointError, match=r"model-00001-of-00002\.safetensors is missing"):
        open_weights(folder)


def test_a_truncated_file_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy(tiny_base, tmp_path / "m")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        open_weights(folder)


def test_pickles_and_quantised_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy(tiny_base, tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="only pickles"):
        open_weights(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {}}), "utf-8")
    with pytest.raises(CheckpointError, match="quantised"):
        open_weights(folder)


def test_a_disk_without_room_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="GB free"):
        check_space(tmp_path, 10**18)
