"""One arm: extend the base, align it perhaps, train all weights, measure on the way."""

import itertools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import Vocabulary, read_documents
from ekle.bpe.two_cuts import Cutter
from ekle.bpe.unmerge import base_pieces
from ekle.extension.extend import extend_model
from ekle.files import read_json, write_json
from ekle.model.rows import NewRows, split_rows
from ekle.progress import silent
from ekle.recipe.extension import Distillation, Extension
from ekle.recipe.training import Alignment
from ekle.training.aligning import align, cut_passages
from ekle.training.merge_dropout import MergeDropout
from ekle.training.objective import byte_lengths
from ekle.training.packing import Batches, Cursor
from ekle.training.schedule import rate_factor

from .arms import Arm
from .bases import bits, device, learn, load_base_model, text_batches
from .compute import Cost, cost_of
from .sizes import Size
from .text import Text

_WARMUP = 0.05


@dataclass(frozen=True)
class Bench:
    """What every arm shares."""

    size: Size
    text: Text
    tokenizer: Path
    """Folder of the base's tokenizer."""
    vocabulary: Vocabulary
    base: Path
    """Folder of the base, with `model`."""


def run_arm(arm: Arm, seed: int, bench: Bench, result: Path) -> None:
    """Train the arm and write the file `result`: bits per byte by step, operations, seconds.

    The budget is what the control's steps cost; what making rows takes is paid from it. Training ends where
    the budget does or, if that is later, where the arm has read the bytes that the control reads, and the
    rate falls to 0 there.
    """
    if result.exists():
        return
    torch.manual_seed(seed)
    size, started = bench.size, time.monotonic()
    model, rows, spent = _start(arm, seed, bench)
    seconds = time.monotonic() - started
    model.to(device())
    folder = bench.tokenizer if rows is None else bench.vocabulary.tokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = model.config.vocab_size
    step_cost = size.sequence * size.batch * cost_of(model.config, size.sequence).training(ids)
    base_cost = size.sequence * size.batch * cost_of(model.config, size.sequence).training(_base_rows(bench))
    compute_steps = max(1, math.floor((size.arm_steps * base_cost - spent) / step_cost))
    bytes_steps = (
        size.arm_steps if rows is None else _steps_to(_bytes_of_control(seed, bench), arm, seed, bench)
    )
    steps = max(compute_steps, bytes_steps)
    probes = {0, *size.probes, bytes_steps, compute_steps} & set(range(steps + 1))
    turkish: dict[int, float] = {}
    english = math.nan
    batches = iter(_batches(arm, seed, bench))
    learning = [p.requires_grad_(True) for p in model.parameters()]
    optimizer, rates = _optimizer(model, rows, arm, size.arm_rate)
    for step in range(steps + 1):
        if step in probes:
            turkish[step] = bits(model, tokenizer, bench.text, size, "turkish")
        if step == compute_steps:
            english = bits(model, tokenizer, bench.text, size, "english")
        if step == steps:
            break
        began = time.monotonic()
        if rows is not None and arm.rows_first:
            _learn_rows_only(model, rows, step < size.rows_first * steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(step, steps, _WARMUP, "linear")
        learn(model, learning, optimizer, next(batches))
        seconds += time.monotonic() - began
    write_json(
        result,
        {
            "arm": arm.name,
            "seed": seed,
            "turkish": {str(step): value for step, value in turkish.items()},
            "english": english,
            "compute_steps": compute_steps,
            "bytes_steps": bytes_steps,
            "steps": steps,
            "rows_share": spent / (size.arm_steps * base_cost),
            "seconds": seconds,
        },
    )


def _start(arm: Arm, seed: int, bench: Bench) -> tuple[Any, NewRows | None, float]:
    """The model that training begins with, its new rows, and the operations that went into them."""
    if arm.init is None:
        return load_base_model(bench.base), None, 0.0
    size, vocabulary = bench.size, bench.vocabulary
    settings = Extension(
        init=arm.init,
        output=arm.output,
        seed=seed,
        gradient_tokens=0,
        distillation=Distillation(tokens=size.distilled_tokens, passes=1, batch_tokens=1024, save_minutes=60),
    )
    with TemporaryDirectory() as scratch:
        extended = extend_model(
            vocabulary.folder,
            bench.base / "model",
            Path(scratch) / "extended",
            settings,
            silent(),
            lambda: read_documents(bench.text.arm_turkish),
        )
        model = AutoModelForCausalLM.from_pretrained(extended.model, dtype=torch.float32)
        about = read_json(extended.folder / "extension.json")
    base, new = vocabulary.first_new_id, vocabulary.size
    cost, ratio = cost_of(model.config, size.sequence), _base_tokens_a_token(vocabulary)
    rows = split_rows(model.requires_grad_(False), base)
    spent = 0.0
    if arm.init == "distilled":
        found = about["distillation"]
        depth = found["layers"] / model.config.num_hidden_layers
        spent += found["tokens"] * cost.distilling(base, new, depth, ratio)
    if arm.aligned:
        spent += _align(model, rows, seed, bench, cost)
    return model, rows, spent


def _align(model: Any, rows: NewRows, seed: int, bench: Bench, cost: Cost) -> float:
    """The alignment phase over new rows; returns its operations."""
    size, vocabulary = bench.size, bench.vocabulary
    settings = Alignment(steps=size.aligned_steps, batch_tokens=size.aligned_tokens)
    cutter = Cutter(_tokenizer(bench.tokenizer), _tokenizer(vocabulary.tokenizer))
    opening = cutter.base.token_to_id("<|endoftext|>")
    assert opening is not None, "the trimmed tokenizer keeps it"
    documents = itertools.cycle(read_documents(bench.text.arm_turkish))
    skipped = itertools.islice(documents, 500 * seed, None)
    passages = cut_passages(skipped, cutter, settings.passage_characters)
    model.to(device())
    done = align(model, rows, passages, opening, settings, silent())
    ratio = done.base_tokens / done.tokens
    return done.tokens * cost.aligning(vocabulary.first_new_id, vocabulary.size, ratio)


def _optimizer(
    model: Any, rows: NewRows | None, arm: Arm, rate: float
) -> tuple[torch.optim.Optimizer, list[float]]:
    """AdamW over all weights, and the full rate of each of its groups; new rows are the last group."""
    new = list(rows.parameters()) if rows is not None else []
    kept = {id(table) for table in new}
    groups = [{"params": [p for p in model.parameters() if id(p) not in kept]}]
    groups += [{"params": new}] if new else []
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    return optimizer, [rate, rate * arm.rows_rate][: len(groups)]


def _learn_rows_only(model: Any, rows: NewRows, only: bool) -> None:
    kept = {id(table) for table in rows.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(not only or id(parameter) in kept)


def _batches(arm: Arm, seed: int, bench: Bench) -> Batches:
    size, present = bench.size, None
    folder = bench.tokenizer if arm.init is None else bench.vocabulary.tokenizer
    if arm.merge_dropout:
        pieces = base_pieces(read_json(folder / "tokenizer.json"), bench.vocabulary.first_new_id)
        present = MergeDropout(pieces, size.merge_dropout, seed).present
    return text_batches(
        _tokenizer(folder),
        bench.text.arm_turkish,
        bench.text,
        size,
        size.replay_share,
        seed + 1,
        size.batch,
        Cursor(),
        present,
    )


def _bytes_of_control(seed: int, bench: Bench) -> int:
    """Bytes of text that the control reads."""
    arm = Arm("", None)
    return sum(itertools.islice(_bytes(arm, seed, bench), bench.size.arm_steps))


def _steps_to(target: int, arm: Arm, seed: int, bench: Bench) -> int:
    """Steps after which the arm has read `target` bytes."""
    for step, total in enumerate(itertools.accumulate(_bytes(arm, seed, bench)), start=1):
        if total >= target:
            return step
    raise AssertionError("batches never end")


def _bytes(arm: Arm, seed: int, bench: Bench) -> Any:
    """Bytes of each step."""
    folder = bench.tokenizer if arm.init is None else bench.vocabulary.tokenizer
    lengths = byte_lengths(AutoTokenizer.from_pretrained(folder), _base_rows(bench) + bench.vocabulary.size)
    return (int(lengths[batch["labels"]].sum()) for batch in _batches(arm, seed, bench))


def _base_tokens_a_token(vocabulary: Vocabulary) -> float:
    """Base tokens that a token of the new cut stands for, on the text the vocabulary was learned from."""
    growth = vocabulary.report["growth"]
    return float(growth[0]["tokens"] / growth[-1]["tokens"])


def _base_rows(bench: Bench) -> int:
    return bench.vocabulary.first_new_id


def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
