"""Extending a model folder: the embedding matrices get new rows, all other tensors are copied.

An embedding matrix has one row per token. Reading and writing go block by block
(`ekle.model.checkpoint.weights`), so memory holds the new rows and 64 MB, not the model. SHA-256 digests are
taken of the base's bytes as they are read. The result is read again and compared with them before the folder
counts as complete.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.opening import open_tokenizer_file
from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.errors import PreservationError
from ekle.extension.compatibility import Compatibility, check_compatibility
from ekle.extension.gradient_flow import check_gradient_flow
from ekle.extension.initialise import InitialisationContext, initialise_embeddings
from ekle.extension.model_files import copy_config_and_tokenizer
from ekle.extension.text import check_new_tokens_occur, check_text_given
from ekle.files import atomic_folder, write_json
from ekle.model.checkpoint.loading import load_tokenizer
from ekle.model.checkpoint.safetensors_file import StreamedTensor, raw_bytes
from ekle.model.checkpoint.weights import (
    INPUT_EMBEDDINGS,
    OUTPUT_EMBEDDINGS,
    StoredEmbeddingMatrix,
    Weights,
    check_space,
    embedding_names,
    open_weights,
    write_weights,
)
from ekle.model.encoding import prefix_token_id
from ekle.model.processes import join
from ekle.model.row_statistics import row_statistics
from ekle.progress import ProgressReporter, Task, silent
from ekle.recipe.extension import ExtensionSettings

_SHARD_BYTES = 2_000_000_000
_GOOD_MULTIPLE = 8  # of rows, for the matrix products of GPUs and for splitting a model over several


Documents = Callable[[], Iterator[str]]
"""Gives the user's texts, from the first one each time it is called."""


def extend_model(
    vocabulary: Path,
    base: Path,
    out: Path,
    settings: ExtensionSettings,
    reporter: ProgressReporter,
    documents: Documents | None = None,
    base_name: str | None = None,
    replay: Documents | None = None,
) -> ExtendedModel:
    """Extend the model folder `base` by the vocabulary folder `vocabulary` into the new folder `out`.

    `documents` is text in the language to learn; some rules need it. `replay` is text in other languages,
    which `mapped` and `distilled` can read. `base_name` is what the user calls the base, a folder or a hub
    id. A slow rule keeps its state in a hidden folder next to `out` and resumes from there when it is called
    again.

    Raises what `write_extension` raises.
    """
    scratch = out.with_name(f".{out.name}.rows")
    with atomic_folder(out) as folder:
        write_extension(
            Vocabulary(vocabulary), base, folder, settings, reporter, scratch, documents, base_name, replay
        )
    shutil.rmtree(scratch, ignore_errors=True)  # only when the model is in its place
    return ExtendedModel(out)


def write_extension(
    vocabulary: Vocabulary,
    base: Path,
    folder: Path,
    settings: ExtensionSettings,
    reporter: ProgressReporter,
    scratch: Path,
    documents: Documents | None = None,
    base_name: str | None = None,
    replay: Documents | None = None,
) -> None:
    """Write `folder/model` and `folder/extension.json`, or neither if it fails.

    Args:
        vocabulary: the new tokens.
        base: the model folder to extend.
        folder: where the result goes.
        settings: the rule for the new rows, and what their number is padded to.
        reporter: receives progress.
        scratch: where a slow rule keeps its state and resumes from. It is not removed here, so that a failure
            while the model is written does not cost the rows; the caller removes it.
        documents: text in the language to learn, for the rules that need it.
        base_name: what the user calls the base, a folder or a hub id; of a folder only the name is recorded.
        replay: text in other languages, for `mapped` and `distilled`.

    Raises:
        InputError: the rule needs text and there is none, or none of the new tokens occurs in it.
        CheckpointError: the base is damaged, does not fit the vocabulary, or a new row gets no gradient.
        PreservationError: a tensor or a base row was not written byte for byte.
        TokenizerError: the rule puts a token before each passage, and the tokenizer has none for that.
        SpaceError: the disk has no space for the model.
    """
    check_text_given(settings, documents is not None)
    tokens = vocabulary.tokens()
    first_new_id = vocabulary.first_new_id
    rows = settings.padded(first_new_id + len(tokens))
    padding = rows - first_new_id - len(tokens)
    (folder / "extension.json").unlink(missing_ok=True)  # of an attempt that was killed
    shutil.rmtree(folder / "model", ignore_errors=True)
    with atomic_folder(folder / "model") as model:
        with open_weights(base) as weights:
            compatible = check_compatibility(vocabulary, weights)
            names = _kept_names(weights, compatible)
            width, size = weights.shape(INPUT_EMBEDDINGS)[1], weights.dtype(INPUT_EMBEDDINGS).itemsize
            added_bytes = len(embedding_names(weights)) * (rows - first_new_id) * width * size
            check_space(model, weights.bytes() + added_bytes)
            if documents is not None and settings.reads_text:
                tokenizer = open_tokenizer_file(vocabulary.tokenizer / "tokenizer.json")
                check_new_tokens_occur(documents(), tokenizer, first_new_id, settings)
            context = _context(vocabulary, base, compatible, settings, documents, replay)
            # May refuse, so it comes before the rule, which may be slow.
            beside = copy_config_and_tokenizer(
                vocabulary.tokenizer, base, model, rows, weights.files(), reporter
            )
            beside.report(base, reporter)
            tied = OUTPUT_EMBEDDINGS not in names
            new_rows, about_rule = initialise_embeddings(weights, tied, context, scratch, join(), reporter)
            if padding:
                new_rows = _with_padding(new_rows, weights, compatible.used_ids, first_new_id, padding)
            with reporter.task("writing the extended model", len(names), "tensors") as task:
                digests = _write(model, weights, names, new_rows, task)
            del new_rows
            with reporter.task("verifying", len(names), "tensors") as task, open_weights(model) as written:
                verify_extension(weights, written, digests, rows, task.advance)
        about = {
            "first_new_id": first_new_id,
            "size": len(tokens),
            "rows": rows,
            "padding": padding,
            "left_behind": beside.left,
            "init": settings.init,
            "settings": settings.model_dump(mode="json"),
            "seed": settings.seed,
            "base": vocabulary.report["base"],
            "base_model": base_name if base_name and not Path(base_name).is_dir() else base.resolve().name,
            "tied": tied,
            "dropped": sorted(compatible.dropped),
            "tensors_equal": len(names) - len({INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS}.intersection(names)),
            "digests": digests,
            **about_rule,
        }
        if settings.gradient_tokens:
            about["gradient_flow"] = check_gradient_flow(model, tokens, settings.gradient_tokens, reporter)
    write_json(folder / "extension.json", about)
    if odd := rows % _GOOD_MULTIPLE:
        reporter.say(
            f"The model has {rows:,} embedding rows, no multiple of {_GOOD_MULTIPLE}, which GPUs compute "
            f"faster with; --set extension.pad_to={_GOOD_MULTIPLE} makes it {rows + _GOOD_MULTIPLE - odd:,}"
        )


def take_part(
    vocabulary: Vocabulary,
    base: Path,
    settings: ExtensionSettings,
    scratch: Path,
    documents: Documents,
    replay: Documents | None = None,
) -> None:
    """Learn along as another process while the main one is in `write_extension`, and write nothing.

    The arguments are those of the main process. The rule must be one that learns in several processes.
    """
    with open_weights(base) as weights:
        compatible = check_compatibility(vocabulary, weights)
        tied = OUTPUT_EMBEDDINGS not in _kept_names(weights, compatible)
        context = _context(vocabulary, base, compatible, settings, documents, replay)
        initialise_embeddings(weights, tied, context, scratch, join(), silent())


def _kept_names(weights: Weights, compatible: Compatibility) -> list[str]:
    """The tensors of the base that the extended model has; without output embeddings its ends are tied."""
    return [name for name in weights.names() if name not in compatible.dropped]


def _context(
    vocabulary: Vocabulary,
    base: Path,
    compatible: Compatibility,
    settings: ExtensionSettings,
    documents: Documents | None,
    replay: Documents | None,
) -> InitialisationContext:
    return InitialisationContext(
        vocabulary.tokens(),
        compatible.used_ids,
        compatible.base_token_bytes,
        settings,
        documents or _no_text,
        lambda: _tokenizer_pair(vocabulary, base),
        lambda: prefix_token_id(load_tokenizer(vocabulary.tokenizer)),
        replay or _no_text,
    )


def _no_text() -> Iterator[str]:
    return iter(())


def _tokenizer_pair(vocabulary: Vocabulary, base: Path) -> TokenizerPair:
    """Base tokenizer (in the base's folder, else the one the vocabulary names) and extended tokenizer."""
    in_folder = (base / "tokenizer.json").exists()
    of_base = load_base(str(base) if in_folder else vocabulary.report["base"]["name"])
    return TokenizerPair(of_base.tokenizer(), open_tokenizer_file(vocabulary.tokenizer / "tokenizer.json"))


def _with_padding(
    new_rows: Mapping[str, Tensor], weights: Weights, used_ids: Tensor, first_new_id: int, padding: int
) -> dict[str, Tensor]:
    """The new rows with `padding` more, which have no token.

    Each is the mean of the base's rows without a token, which its training has kept from being predicted; a
    base without such rows gives the mean of all.
    """
    unused = torch.ones(first_new_id, dtype=torch.bool)
    unused[used_ids] = False
    ids = unused.nonzero().flatten() if unused.any() else used_ids
    padded: dict[str, Tensor] = {}
    for name, rows in new_rows.items():
        mean = row_statistics(StoredEmbeddingMatrix(weights, name), ids).mean
        padded[name] = torch.cat([rows, mean.to(rows.dtype).expand(padding, -1)])
    return padded


def _write(
    model: Path, weights: Weights, names: list[str], new_rows: Mapping[str, Tensor], task: Task
) -> dict[str, str]:
    """Write all tensors; returns the SHA-256 of the bytes that each has from the base."""
    digests_of_base_rows: dict[str, str] = {}

    def base_and_new_rows(name: str) -> Iterator[Tensor]:
        total = hashlib.sha256()
        for block in weights.blocks(name):
            total.update(raw_bytes(block))
            yield block
        digests_of_base_rows[name] = total.hexdigest()
        yield new_rows[name]

    def tensors() -> Iterator[tuple[str, Tensor | StreamedTensor]]:
        for name in names:
            shape, dtype = weights.shape(name), weights.dtype(name)
            if name in new_rows:
                grown = (shape[0] + len(new_rows[name]), *shape[1:])
                yield name, StreamedTensor(grown, dtype, base_and_new_rows(name))
            else:
                yield name, StreamedTensor(shape, dtype, weights.blocks(name))
            task.advance()

    return {**write_weights(model, tensors(), _SHARD_BYTES), **digests_of_base_rows}


def verify_extension(
    base: Weights, written: Weights, digests: Mapping[str, str], rows: int, advance: Callable[[], None]
) -> None:
    """Compare the extended model on disk with its base.

    Args:
        base: the base's weights; only types and shapes are compared.
        written: the extended model.
        digests: SHA-256 of each tensor that the extended model must have, taken when the base was read; for
            an embedding matrix, of its base rows.
        rows: rows that the embedding matrices must have.
        advance: called after each tensor.

    Raises:
        PreservationError: a tensor is missing, not in the base, of another type or shape, or differs in a
            byte.
    """
    if written.names() != sorted(digests):
        raise PreservationError(f"{written.folder} has other tensors than the base")
    for name, digest in digests.items():
        shape = base.shape(name)
        expected = (rows, *shape[1:]) if name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS) else shape
        if written.shape(name) != expected or written.dtype(name) != base.dtype(name):
            raise PreservationError(f"{name} was written as {written.shape(name)} and not as {expected}")
        if written.digest(name, shape[0] if shape else None) != digest:
            raise PreservationError(f"{name} did not arrive byte for byte; is the disk sound?")
        advance()
