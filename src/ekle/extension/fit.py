"""Whether a vocabulary and a model belong together, asked before anything is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ekle.artifacts import Vocabulary
from ekle.bpe.graft import placeholder
from ekle.errors import CheckpointError, InputError
from ekle.files import read_json
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS, Weights, check_rows, read_config


@dataclass(frozen=True)
class Fit:
    """What the check found out: ids of the base rows that have a token, and tensors to leave out."""

    used: Tensor
    dropped: frozenset[str]


def check_fit(vocabulary: Vocabulary, weights: Weights) -> Fit:
    """Compare the vocabulary with the base model that it is to extend.

    Raises:
        CheckpointError: the row matrices are damaged or have other rows than the vocabulary was made for.
        InputError: the base's own tokenizer gives some token another id, or the vocabulary's ids have gaps.
    """
    first, base = vocabulary.first_new_id, weights.folder
    ids = [token.id for token in vocabulary.tokens()]
    if not ids or ids != list(range(first, first + len(ids))):
        raise InputError(f"the ids in {vocabulary.folder} do not run on from {first:,}; learn it again")
    check_rows(weights, first, f"learn the vocabulary with --base {base}")
    table = _ids(vocabulary.tokenizer)
    if (base / "tokenizer.json").exists():
        for token, number in _ids(base).items():
            found = table.get(token)
            if found != number:
                raise InputError(
                    f"{base} gives {token!r} the id {number}, {vocabulary.folder} gives it {found}; "
                    f"learn the vocabulary with --base {base}"
                )
    used = [number for token, number in table.items() if number < first and token != placeholder(number)]
    return Fit(torch.tensor(sorted(used)), _copies(weights))


def _ids(folder: Path) -> dict[str, int]:
    """Every token of a tokenizer.json with its id, added tokens included."""
    spec: dict[str, Any] = read_json(folder / "tokenizer.json")
    return {**spec["model"]["vocab"], **{token["content"]: token["id"] for token in spec["added_tokens"]}}


def _copies(weights: Weights) -> frozenset[str]:
    """The head, where it is a copy of the tied input rows; Qwen3-0.6B is published with one.

    The extended model does without it: one matrix serves both ends, and a copy could only go stale.
    """
    tied = read_config(weights.folder).get("tie_word_embeddings")
    present = OUTPUT_ROWS in weights.names()
    if tied is False and not present:
        raise CheckpointError(
            f"{weights.folder} has no {OUTPUT_ROWS} although its config.json unties the head"
        )
    if not tied or not present:
        return frozenset()
    if weights.digest(INPUT_ROWS) != weights.digest(OUTPUT_ROWS):
        raise CheckpointError(
            f"{weights.folder} ties the head in config.json but its {OUTPUT_ROWS} differs from {INPUT_ROWS}; "
            "set tie_word_embeddings to false there"
        )
    return frozenset({OUTPUT_ROWS})
