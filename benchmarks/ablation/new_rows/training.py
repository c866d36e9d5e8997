"""One variant: initialise its new embedding rows, train all weights with the control's compute, measure."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.ablation.bases import bits, held_out, load_base_model, text_batches, training_step
from benchmarks.ablation.new_rows.variants import CONTROL, Variant
from benchmarks.ablation.sizes import Size
from benchmarks.ablation.text import Text
from benchmarks.ablation.tokenizer import tokenizer_of
from benchmarks.device import clock, default_device
from ekle.artifacts import Vocabulary, read_documents
from ekle.bpe.graft import base_token_ids
from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.extension.extend import extend_model
from ekle.files import read_json, write_json
from ekle.model.checkpoint.loading import load_model, load_tokenizer
from ekle.model.layers.new_rows import NewRows, split_rows
from ekle.planning.flops import Cost, cost_of
from ekle.planning.shapes import ModelShape, read_shape
from ekle.progress import silent
from ekle.recipe.extension import DistillationSettings, ExtensionSettings
from ekle.recipe.training import AlignmentSettings
from ekle.training.alignment import align, passages_with_new_tokens
from ekle.training.data.merge_dropout import MergeDropout
from ekle.training.data.packing import Batches, Cursor
from ekle.training.objective import byte_lengths
from ekle.training.optimizers.make import rate_factor


@dataclass(frozen=True)
class AblationInputs:
    """What all variants over a base share."""

    size: Size
    text: Text
    tokenizer: Path
    """Folder of the base's tokenizer."""
    vocabulary: Vocabulary
    base: Path
    """Folder of the base, with `model`."""

    @property
    def shape(self) -> ModelShape:
        """Of the base."""
        return read_shape(self.base / "model" / "config.json")


def start(variant: Variant, seed: int, inputs: AblationInputs) -> tuple[Any, NewRows | None, float]:
    """The model at the start of training, its new rows, and the operations spent on them."""
    if variant.init is None:
        return load_base_model(inputs.base), None, 0.0
    size, vocabulary = inputs.size, inputs.vocabulary
    distillation = DistillationSettings(
        tokens=size.distilled_tokens, replay_share=size.replay_share, batch_tokens=1024, save_minutes=60
    )
    if variant.deep:
        distillation = distillation.model_copy(update={"depth": size.distilled_depth})
    settings = ExtensionSettings(
        init=variant.init, output=variant.output, seed=seed, gradient_tokens=0, distillation=distillation
    )
    with TemporaryDirectory() as scratch:
        extended = extend_model(
            vocabulary.folder,
            inputs.base / "model",
            Path(scratch) / "extended",
            settings,
            silent(),
            lambda: read_documents(inputs.text.variant_turkish),
            replay=lambda: read_documents(inputs.text.english),
        )
        model = load_model(extended.model, torch.float32)
        about = read_json(extended.folder / "extension.json")
    base, new = vocabulary.first_new_id, vocabulary.size
    cost, ratio = cost_of(inputs.shape, size.shared.sequence), _base_tokens_per_token(vocabulary)
    rows = split_rows(model.requires_grad_(False), base)
    spent = 0.0
    if variant.init == "distilled":
        found = about["distillation"]
        depth = found["layers"] / model.config.num_hidden_layers
        spent += found["tokens"] * cost.distilling(base, new, depth, ratio)
    if variant.aligned:
        spent += _align(model, rows, seed, inputs, cost)
    return model, rows, spent


def _align(model: Any, rows: NewRows, seed: int, inputs: AblationInputs, cost: Cost) -> float:
    """The alignment phase over new rows; returns its operations."""
    size, vocabulary = inputs.size, inputs.vocabulary
    settings = AlignmentSettings(steps=size.aligned_steps, batch_tokens=size.aligned_tokens)
    tokenizer_pair = TokenizerPair(tokenizer_of(inputs.tokenizer), tokenizer_of(vocabulary.tokenizer))
    bos_id = tokenizer_pair.base.token_to_id("<|endoftext|>")
    assert bos_id is not None, "the trimmed tokenizer keeps it"
    documents = itertools.cycle(read_documents(inputs.text.variant_turkish))
    skipped = itertools.islice(documents, 500 * seed, None)
    passages = passages_with_new_tokens(skipped, tokenizer_pair, settings.passage_characters)
    model.to(default_device())
    done = align(model, rows, passages, bos_id, settings, silent())
    ratio = done.base_tokens / done.tokens
    return done.tokens * cost.aligning(vocabulary.first_new_id, vocabulary.size, ratio)


def _base_tokens_per_token(vocabulary: Vocabulary) -> float:
    """Base tokens per token of the extended tokenizer, on the text the vocabulary was learned from."""
    growth = vocabulary.report["growth"]
    return float(growth[0]["tokens"] / growth[-1]["tokens"])


_WARMUP = 0.05
_TAIL = 0.02  # share of the full rate with which a variant reads on to the control's bytes


def train_variant(variant: Variant, seed: int, inputs: AblationInputs, result: Path) -> None:
    """Train the variant and write the file `result`: bits per byte by step, operations, seconds.

    The budget is the compute of the control's steps; what the new rows cost is paid from it. The rate falls
    to 0 at the end of the budget. A variant that has read less than the control by then reads on at a small
    rate.
    """
    if result.exists():
        return
    torch.manual_seed(seed)
    size, began = inputs.size, clock()
    model, rows, spent = start(variant, seed, inputs)
    model.to(default_device())
    context, text = size.shared.sequence, inputs.text
    tokenizer = load_tokenizer(tokenizer_folder(variant, inputs))
    ids, tokens = model.config.vocab_size, context * size.batch
    cost = cost_of(inputs.shape, context)
    step_cost, budget = tokens * cost.training(ids), size.steps * tokens * cost.training(_base_rows(inputs))
    compute_steps = max(1, math.floor((budget - spent) / step_cost))
    bytes_steps = (
        size.steps if rows is None else steps_to(bytes_of_control(seed, inputs), variant, seed, inputs)
    )
    steps = max(compute_steps, bytes_steps)
    probes = {0, *size.probes, bytes_steps, compute_steps} & set(range(steps + 1))
    turkish: dict[int, float] = {}
    validation = {"start": bits(model, tokenizer, text, context, "turkish", "validation")}
    english = math.nan
    batches = iter(variant_batches(variant, seed, inputs))
    learning = [p.requires_grad_(True) for p in model.parameters()]
    optimizer, rates = _optimizer(model, rows, variant, size)
    for step in range(steps + 1):
        if step in probes:
            turkish[step] = bits(model, tokenizer, text, context, "turkish", "test")
        if step == compute_steps:
            english = bits(model, tokenizer, text, context, "english", "test")
            validation |= held_out(model, tokenizer, text, context)
        if step == steps:
            break
        if rows is not None and variant.rows_first:
            _learn_rows_only(model, rows, step < size.rows_first * compute_steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            factor = rate_factor(step, compute_steps, _WARMUP, "linear") if step < compute_steps else _TAIL
            group["lr"] = rate * factor
        training_step(model, learning, optimizer, next(batches))
    write_json(
        result,
        {
            "variant": variant.name,
            "seed": seed,
            "turkish": {str(step): value for step, value in turkish.items()},
            "english": english,
            "validation": validation,
            "compute_steps": compute_steps,
            "bytes_steps": bytes_steps,
            "steps": steps,
            "rows_share": spent / budget,
            "step_share": step_cost / budget,
            "seconds": clock() - began,
        },
    )


def _optimizer(
    model: Any, rows: NewRows | None, variant: Variant, size: Size
) -> tuple[torch.optim.Optimizer, list[float]]:
    """AdamW over all weights, and the peak rate of each of its groups; new rows are the last group."""
    new = list(rows.parameters()) if rows is not None else []
    kept = {id(table) for table in new}
    groups = [{"params": [p for p in model.parameters() if id(p) not in kept]}]
    groups += [{"params": new}] if new else []
    rate = size.rate * variant.rate
    rates = [rate, size.rows_rate * variant.rows_rate if variant.rows_rate else rate]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return optimizer, rates[: len(groups)]


def _learn_rows_only(model: Any, rows: NewRows, only: bool) -> None:
    kept = {id(table) for table in rows.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(not only or id(parameter) in kept)


def variant_batches(variant: Variant, seed: int, inputs: AblationInputs) -> Batches:
    """The batches that a variant is trained on."""
    size, transform = inputs.size, None
    folder = tokenizer_folder(variant, inputs)
    if variant.merge_dropout:
        base_tokens = base_token_ids(read_json(folder / "tokenizer.json"), inputs.vocabulary.first_new_id)
        transform = MergeDropout(base_tokens, size.merge_dropout, seed).transform
    return text_batches(
        tokenizer_of(folder),
        inputs.text.variant_turkish,
        inputs.text,
        size.shared.sequence,
        size.replay_share,
        seed + 1,
        size.batch,
        Cursor(),
        transform,
    )


def tokenizer_folder(variant: Variant, inputs: AblationInputs) -> Path:
    """Folder of the variant's tokenizer."""
    return inputs.tokenizer if variant.init is None else inputs.vocabulary.tokenizer


def bytes_of_control(seed: int, inputs: AblationInputs) -> int:
    """Bytes of text that the control reads in all its steps."""
    return sum(itertools.islice(bytes_by_step(CONTROL, seed, inputs), inputs.size.steps))


def steps_to(target: int, variant: Variant, seed: int, inputs: AblationInputs) -> int:
    """Steps after which the variant has read `target` bytes."""
    for step, total in enumerate(itertools.accumulate(bytes_by_step(variant, seed, inputs)), start=1):
        if total >= target:
            return step
    raise AssertionError("batches never end")


def bytes_by_step(variant: Variant, seed: int, inputs: AblationInputs) -> Any:
    """Bytes of text per step, without end."""
    rows = _base_rows(inputs) + inputs.vocabulary.size
    lengths = byte_lengths(load_tokenizer(tokenizer_folder(variant, inputs)), rows)
    return (int(lengths[batch["labels"]].sum()) for batch in variant_batches(variant, seed, inputs))


def _base_rows(inputs: AblationInputs) -> int:
    return inputs.vocabulary.first_new_id
