"""Extending a model folder: row matrices grow, all other tensors pass through unread.

Reading and writing go tensor by tensor (`ekle.model.weights`), so memory holds one matrix, not the model.
What was written is read again and compared with the base before the folder counts as done.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from ekle.artifacts import ExtendedModel, NewToken, Vocabulary
from ekle.extension.companions import copy_companions
from ekle.extension.fit import check_fit
from ekle.extension.gradient_flow import check_gradient_flow
from ekle.extension.initialise import End, new_rows
from ekle.extension.verify import verify
from ekle.files import whole_folder, write_json
from ekle.model.weights import (
    INPUT_ROWS,
    OUTPUT_ROWS,
    Weights,
    check_space,
    open_weights,
    row_names,
    write_weights,
)
from ekle.progress import Report
from ekle.recipe.extension import Extension

_SHARD_BYTES = 2_000_000_000


def extend_model(
    vocabulary: Path, base: Path, out: Path, settings: Extension, report: Report
) -> ExtendedModel:
    """Extend the model folder `base` by the vocabulary folder `vocabulary` into the new folder `out`.

    Raises:
        EkleError: vocabulary or model are not what they should be; nothing is left behind.
    """
    with whole_folder(out) as folder:
        write_extension(Vocabulary(vocabulary), base, folder, settings, report)
    return ExtendedModel(out)


def write_extension(
    vocabulary: Vocabulary, base: Path, folder: Path, settings: Extension, report: Report
) -> None:
    """Write `folder/model` and `folder/extension.json`.

    Raises:
        CheckpointError: the base is damaged, does not fit the vocabulary, or gives a new row no gradient.
        PreservationError: a tensor or a base row did not arrive byte for byte.
        SpaceError: the disk cannot take the model.
    """
    tokens = vocabulary.tokens()
    first = vocabulary.first_new_id
    model = folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir()
    with open_weights(base) as weights:
        fit = check_fit(vocabulary, weights)
        width, size = weights.shape(INPUT_ROWS)[1], weights.dtype(INPUT_ROWS).itemsize
        check_space(model, weights.bytes() + len(row_names(weights)) * len(tokens) * width * size)
        names = [name for name in weights.names() if name not in fit.dropped]
        with report.task("writing the extended model", len(names), "tensor") as task:
            tensors = _extended(weights, names, tokens, fit.used, settings, task.advance)
            write_weights(model, tensors, _SHARD_BYTES)
        copy_companions(vocabulary.tokenizer, base, model, first + len(tokens))
        with report.task("verifying", len(names), "tensor") as task:
            digests = verify(weights, names, model, first + len(tokens), task.advance)
    about = {
        "first_new_id": first,
        "size": len(tokens),
        "rows": first + len(tokens),
        "init": settings.init,
        "seed": settings.seed,
        "base": vocabulary.report["base"],
        "base_model": str(base),
        "tied": OUTPUT_ROWS not in names,
        "dropped": sorted(fit.dropped),
        "tensors_equal": len(names) - len({INPUT_ROWS, OUTPUT_ROWS}.intersection(names)),
        "digests": digests,
    }
    if settings.gradient_tokens:
        about["gradient_flow"] = check_gradient_flow(model, tokens, settings.gradient_tokens, report)
    write_json(folder / "extension.json", about)


def _extended(
    weights: Weights,
    names: list[str],
    tokens: list[NewToken],
    used: Tensor,
    settings: Extension,
    done: Callable[[], None],
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the extended model; none is kept while the next is made."""
    pieces = [token.base_pieces for token in tokens]
    tied = OUTPUT_ROWS not in names
    ends: dict[str, End] = {INPUT_ROWS: "both" if tied else "input", OUTPUT_ROWS: "output"}
    for name in names:
        if name in ends:
            yield name, _grown(weights, name, pieces, used, settings, ends[name])
        else:
            yield name, weights.read(name)
        done()


def _grown(
    weights: Weights, name: str, pieces: list[list[int]], used: Tensor, settings: Extension, end: End
) -> Tensor:
    """A row matrix with the base's rows, bit for bit, and the new ones behind them."""
    rows, width = weights.shape(name)
    whole = torch.empty((rows + len(pieces), width), dtype=weights.dtype(name))
    start = 0
    for block in weights.blocks(name):
        whole[start : start + len(block)] = block
        start += len(block)
    whole[rows:] = new_rows(settings.init, whole[:rows], pieces, used, end)
    return whole
