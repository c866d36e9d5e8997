"""DoRA adapters on disk, in the format of PEFT."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ekle.errors import CheckpointError, InputError
from ekle.files import read_json, write_json
from ekle.model.distributed import copy_full_tensor, is_main_process, save_full_tensors
from ekle.model.layers.dora import adapted_layers, attach, refresh_norms, scale_of
from ekle.recipe.training import DoraSettings


class AdapterLayer(NamedTuple):
    """The adapter of one layer."""

    lora_a: Tensor
    lora_b: Tensor
    magnitude: Tensor


def save_adapter(model: nn.Module, folder: Path) -> None:
    """Write the adapters of `model` as PEFT writes them: `PeftModel.from_pretrained` reads the folder.

    Collective (`ekle.model.distributed`); the main process alone writes.

    Raises:
        CheckpointError: the model has no adapters.
    """
    from peft import LoraConfig  # here, because importing PEFT takes seconds and is seldom needed

    layers = dict(adapted_layers(model))
    if not layers:
        raise CheckpointError("the model has no adapters to save")
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        values = AdapterLayer(layer.lora_a, layer.lora_b, layer.magnitude)
        tensors.update(zip(_keys(name), values, strict=True))
    settings = next(iter(layers.values())).settings
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(settings.targets),
        use_dora=True,
        use_rslora=settings.rslora,
        inference_mode=True,
    ).to_dict()
    config["target_modules"] = sorted(settings.targets)  # PEFT has a set, which JSON cannot hold
    save_full_tensors(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    if is_main_process():
        write_json(folder / "adapter_config.json", {**config, "peft_type": "LORA"})


class StoredAdapter:
    """An adapter folder of DoRA in PEFT's format, read layer by layer.

    Raises:
        CheckpointError: files are missing or damaged, or the adapter is of another kind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            config = read_json(folder / "adapter_config.json")
            is_dora = config["peft_type"] == "LORA" and config["use_dora"]
            self.settings = DoraSettings(
                rank=config["r"],
                alpha=config["lora_alpha"],
                rslora=config["use_rslora"],
                targets=config["target_modules"],
            )
            self._handle: Any = safe_open(folder / "adapter_model.safetensors", framework="pt")
            self._keys = set(self._handle.keys())
        except (InputError, OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder} is no complete DoRA adapter: {error}") from error
        if not is_dora:
            raise CheckpointError(f"{folder} holds an adapter that is not DoRA")

    def has(self, layer: str) -> bool:
        """Whether `layer`, a dotted name such as "model.layers.0.self_attn.q_proj", is adapted."""
        return _keys(layer)[0] in self._keys

    def count(self) -> int:
        """Number of adapted layers in the folder."""
        return len(self._keys) // len(AdapterLayer._fields)

    def layer(self, name: str) -> AdapterLayer:
        """The tensors of one layer.

        Raises:
            CheckpointError: the folder has none for this layer.
        """
        try:
            return AdapterLayer(*(self._handle.get_tensor(key) for key in _keys(name)))
        except SafetensorError as error:
            raise CheckpointError(f"{self.folder} has nothing for {name}: {error}") from error


@torch.no_grad()
def load_adapter(model: nn.Module, folder: Path) -> None:
    """Read an adapter in PEFT's format into `model`, and attach adapters first if it has none.

    Raises:
        CheckpointError: the folder is incomplete, or was made with other settings or for another model.
    """
    stored = StoredAdapter(folder)
    if not any(True for _ in adapted_layers(model)):
        attach(model, stored.settings)
    layers = dict(adapted_layers(model))
    if stored.count() != len(layers):
        raise CheckpointError(f"{folder} holds {stored.count()} layers, the model has {len(layers)}")
    for name, layer in layers.items():
        if _comparable(layer.settings) != _comparable(stored.settings):
            raise CheckpointError(f"{folder} was made with other DoRA settings: {stored.settings}")
        own = AdapterLayer(layer.lora_a, layer.lora_b, layer.magnitude)
        for parameter, value in zip(own, stored.layer(name), strict=True):
            if parameter.shape != value.shape:
                raise CheckpointError(f"{folder}: {name} has the shape of another model")
            copy_full_tensor(parameter, value)
    refresh_norms(model)


def _keys(layer: str) -> tuple[str, str, str]:
    """PEFT's names for A, B and the magnitude of `layer`."""
    prefix = f"base_model.model.{layer}"
    return f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight", f"{prefix}.lora_magnitude_vector"


def _comparable(settings: DoraSettings) -> tuple[int, float, tuple[str, ...]]:
    return settings.rank, scale_of(settings), tuple(sorted(settings.targets))
