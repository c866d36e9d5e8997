"""What an arm starts from: the base, extended by a rule, and aligned perhaps; and what that cost."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary, read_documents
from ekle.bpe.two_cuts import Cutter
from ekle.extension.extend import extend_model
from ekle.files import read_json
from ekle.model.load import load_model
from ekle.model.rows import NewRows, split_rows
from ekle.planning.shapes import Shape, read_shape
from ekle.progress import silent
from ekle.recipe.extension import Distillation, Extension
from ekle.recipe.training import Alignment
from ekle.training.alignment.align import align, cut_passages

from .arms import Arm
from .bases import device, load_base_model
from .compute import Cost, cost_of
from .sizes import Size
from .text import Text


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

    @property
    def shape(self) -> Shape:
        """Of the base."""
        return read_shape(self.base / "model" / "config.json")


def start(arm: Arm, seed: int, bench: Bench) -> tuple[Any, NewRows | None, float]:
    """The model that training begins with, its new rows, and the operations that went into them."""
    if arm.init is None:
        return load_base_model(bench.base), None, 0.0
    size, vocabulary = bench.size, bench.vocabulary
    distillation = Distillation(
        tokens=size.distilled_tokens, replay_share=size.replay_share, batch_tokens=1024, save_minutes=60
    )
    if arm.deep:
        distillation = distillation.model_copy(update={"depth": size.distilled_depth})
    settings = Extension(
        init=arm.init, output=arm.output, seed=seed, gradient_tokens=0, distillation=distillation
    )
    with TemporaryDirectory() as scratch:
        extended = extend_model(
            vocabulary.folder,
            bench.base / "model",
            Path(scratch) / "extended",
            settings,
            silent(),
            lambda: read_documents(bench.text.arm_turkish),
            replay=lambda: read_documents(bench.text.english),
        )
        model = load_model(extended.model, torch.float32)
        about = read_json(extended.folder / "extension.json")
    base, new = vocabulary.first_new_id, vocabulary.size
    cost, ratio = cost_of(bench.shape, size.ground.sequence), _base_tokens_a_token(vocabulary)
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
    cutter = Cutter(tokenizer_of(bench.tokenizer), tokenizer_of(vocabulary.tokenizer))
    opening = cutter.base.token_to_id("<|endoftext|>")
    assert opening is not None, "the trimmed tokenizer keeps it"
    documents = itertools.cycle(read_documents(bench.text.arm_turkish))
    skipped = itertools.islice(documents, 500 * seed, None)
    passages = cut_passages(skipped, cutter, settings.passage_characters)
    model.to(device())
    done = align(model, rows, passages, opening, settings, silent())
    ratio = done.base_tokens / done.tokens
    return done.tokens * cost.aligning(vocabulary.first_new_id, vocabulary.size, ratio)


def _base_tokens_a_token(vocabulary: Vocabulary) -> float:
    """Base tokens that a token of the new cut stands for, on the text the vocabulary was learned from."""
    growth = vocabulary.report["growth"]
    return float(growth[0]["tokens"] / growth[-1]["tokens"])


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer in a folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
