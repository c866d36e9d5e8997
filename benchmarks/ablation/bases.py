"""The bases and their folders: small Qwen3 models from scratch; one knows Turkish, one hardly does."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.ablation.processes import run_tasks
from benchmarks.ablation.sizes import BaseName, Pretraining, SharedSettings
from benchmarks.ablation.text import Language, Purpose, Text
from benchmarks.device import clock, default_device
from ekle.bpe.base import BaseTokenizer, load_base
from ekle.files import atomic_file, atomic_folder, write_json
from ekle.model.checkpoint.loading import load_model, load_tokenizer
from ekle.model.layers.loss import chunk_size, chunked_cross_entropy
from ekle.model.scoring.bits_per_byte import measure
from ekle.training.data.documents import Documents, Lines, encoder
from ekle.training.data.packing import Batches, Cursor, Source, pack
from ekle.training.optimizers.make import rate_factor

_WARMUP = 0.03
_POINTS = 20  # of the curve


@dataclass(frozen=True)
class BaseFolders:
    """Folders under the working folder `work`; other shared settings are another folder."""

    work: Path
    name: str
    """Of the size."""
    shared: SharedSettings

    @property
    def folder(self) -> Path:
        """The one that holds the others."""
        return self.work / f"{self.name}-{self.shared.digest}"

    @property
    def text(self) -> Path:
        """Text to learn from and to measure on."""
        return self.folder / "text"

    @property
    def tokenizer(self) -> Path:
        """The base's tokenizer."""
        return self.folder / "tokenizer"

    @property
    def vocabulary(self) -> Path:
        """The new tokens."""
        return self.folder / "vocabulary"

    def base(self, name: BaseName) -> Path:
        """A base: its model, its tokenizer, its curve."""
        return self.folder / name

    def curve(self, name: BaseName) -> Path:
        """The file that is written when a base is trained."""
        return self.base(name) / "base.json"


def prepare_bases(
    names: Iterable[BaseName],
    text: Text,
    folders: BaseFolders,
    processes: int,
    report_done: Callable[[BaseName], None] = lambda name: None,
) -> None:
    """Train the bases that are not there yet, `processes` at once; see `run_tasks`."""
    missing = [name for name in names if not folders.curve(name).exists()]
    run_tasks({name: partial(_train, name, text, folders) for name in missing}, processes, report_done)


def _train(name: BaseName, text: Text, folders: BaseFolders) -> None:
    base = load_base(str(folders.tokenizer))
    train_base(folders.shared.bases[name], folders.shared, base, text, folders.base(name))


def new_model(shared: SharedSettings, base: BaseTokenizer, seed: int) -> Qwen3ForCausalLM:
    """An untrained base."""
    shape = shared.shape
    config = Qwen3Config(
        vocab_size=base.rows,
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // shape.head_dim,
        num_key_value_heads=max(1, shape.width // shape.head_dim // 2),
        head_dim=shape.head_dim,
        max_position_embeddings=2 * shared.sequence,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=base.added["<|im_end|>"],
        pad_token_id=None,
        dtype="float32",
    )
    if config.num_attention_heads % config.num_key_value_heads:
        config.num_key_value_heads = 1
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config)


def train_base(
    about: Pretraining, shared: SharedSettings, base: BaseTokenizer, text: Text, folder: Path
) -> None:
    """Train a base into `folder/model` and write its curve into `folder/base.json`.

    An interrupted training resumes from `folder/state.safetensors`.
    """
    if (folder / "base.json").exists():
        return
    model = new_model(shared, base, seed=0).to(default_device())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=shared.rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
    )
    state: dict[str, Any] = {"step": 0, "cursor": {}, "curve": [], "seconds": 0.0}
    if (folder / "state.safetensors").exists():
        state = _load(folder / "state.safetensors", model, optimizer)
    batches = iter(
        text_batches(
            base.tokenizer(),
            text.base_turkish,
            text,
            shared.sequence,
            1 - about.turkish_share,
            0,
            shared.batch,
            Cursor(**state["cursor"]),
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    base.save(folder / "tokenizer")
    tokenizer = load_tokenizer(folder / "tokenizer")
    every = max(1, about.steps // _POINTS)
    started = clock() - state["seconds"]
    for step in range(state["step"], about.steps):
        for group in optimizer.param_groups:
            group["lr"] = shared.rate * rate_factor(step, about.steps, _WARMUP, "cosine")
        batch = next(batches)
        training_step(model, model.parameters(), optimizer, batch)
        if (step + 1) % every == 0 or step + 1 == about.steps:
            state["curve"].append({"step": step + 1, **held_out(model, tokenizer, text, shared.sequence)})
            seconds = clock() - started
            state |= {"step": step + 1, "cursor": batch["cursor"], "seconds": seconds}
            _save(folder / "state.safetensors", model, optimizer, state)
    with atomic_folder(folder / "model") as made:
        model.cpu().save_pretrained(made)
        base.save(made)
    write_json(folder / "base.json", {key: state[key] for key in ("curve", "seconds")})


def text_batches(
    tokenizer: Tokenizer,
    turkish: Path,
    text: Text,
    length: int,
    replay_share: float,
    seed: int,
    batch: int,
    cursor: Cursor,
    transform: Any = None,
) -> Batches:
    """Packed sequences of Turkish with its share of English."""
    bos_id = tokenizer.token_to_id("<|endoftext|>")
    assert bos_id is not None, "the trimmed tokenizer keeps it"
    shares = {"turkish": (turkish, 1 - replay_share), "replay": (text.english, replay_share)}
    sources = [
        Source(name, share, Documents(Lines(path, seed), encoder(tokenizer), bos_id, transform))
        for name, (path, share) in shares.items()
    ]
    return Batches(pack(sources, length=length, cursor=cursor), batch)


def training_step(
    model: Any, learning: Any, optimizer: torch.optim.Optimizer, batch: dict[str, Any]
) -> float:
    """One step over all weights; returns nats per token."""
    where = default_device()
    hidden = model.get_decoder()(
        input_ids=batch["input_ids"].to(where), position_ids=batch["position_ids"].to(where), use_cache=False
    )[0].flatten(0, 1)
    head, labels = model.get_output_embeddings(), batch["labels"].flatten().to(where)
    loss = chunked_cross_entropy(hidden, head, labels, chunk_size(model.config.vocab_size, where))
    loss.backward()
    nn.utils.clip_grad_norm_(learning, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    value = loss.item()
    if not math.isfinite(value):
        raise ArithmeticError("the loss is not finite; lower the rate in sizes.py")
    return value


def held_out(model: Any, tokenizer: Any, text: Text, context: int) -> dict[str, float]:
    """Bits per byte of the validation text."""
    return {
        "turkish": bits(model, tokenizer, text, context, "turkish", "validation"),
        "english": bits(model, tokenizer, text, context, "english", "validation"),
    }


def bits(model: Any, tokenizer: Any, text: Text, context: int, language: Language, purpose: Purpose) -> float:
    """Bits per byte of held-out text in one language."""
    documents = text.held_out(language, purpose)
    return measure(model, tokenizer, documents, context=context, batch_size=16).bits_per_byte


def load_base_model(folder: Path) -> Any:
    """The trained base."""
    return load_model(folder / "model", torch.float32)


def _save(path: Path, model: Any, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    tensors = {f"model/{name}": p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value.cpu() for name, value in values.items()}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={"state": json.dumps(state)})


def _load(path: Path, model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    with safe_open(path, framework="pt") as handle:
        found: dict[str, Any] = json.loads(handle.metadata()["state"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no iterator
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model/{name}"])
    values: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            number, _, part = rest.partition("/")
            values.setdefault(int(number), {})[part] = tensor
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    return found
