"""Extending a model folder: row matrices grow, all other tensors pass through unread.

Reading and writing go part by part (`ekle.model.weights`), so memory holds the new rows and 64 MB, not the
model. The base's bytes are digested when they are read; what was written is read again and held against that
before the folder counts as done.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.two_cuts import Cutter
from ekle.errors import InputError
from ekle.extension.companions import copy_companions
from ekle.extension.fit import check_fit
from ekle.extension.gradient_flow import check_gradient_flow
from ekle.extension.initialise import Known
from ekle.extension.make_rows import make_rows
from ekle.extension.verify import verify
from ekle.files import whole_folder, write_json
from ekle.model.shard import Streamed, raw_bytes
from ekle.model.weights import (
    INPUT_ROWS,
    OUTPUT_ROWS,
    Weights,
    check_space,
    open_weights,
    row_names,
    write_weights,
)
from ekle.progress import Report, Task
from ekle.recipe.extension import Extension

_SHARD_BYTES = 2_000_000_000


Documents = Callable[[], Iterator[str]]
"""Gives the texts of the user, from the first one on each time it is called."""


def extend_model(
    vocabulary: Path,
    base: Path,
    out: Path,
    settings: Extension,
    report: Report,
    documents: Documents | None = None,
    called: str | None = None,
    replay: Documents | None = None,
) -> ExtendedModel:
    """Extend the model folder `base` by the vocabulary folder `vocabulary` into the new folder `out`.

    `documents` is text in the language to learn; some rules need it. `replay` is text in other languages,
    for the rule that reads some. `called` is what the user calls the base, a folder or a hub id. A rule that
    takes long keeps what it has in a hidden folder beside `out` and goes on from there when it is called
    again.
    """
    scratch = out.with_name(f".{out.name}.rows")
    with whole_folder(out) as folder:
        write_extension(
            Vocabulary(vocabulary), base, folder, settings, report, scratch, documents, called, replay
        )
    shutil.rmtree(scratch, ignore_errors=True)  # not before the model is in its place
    return ExtendedModel(out)


def write_extension(
    vocabulary: Vocabulary,
    base: Path,
    folder: Path,
    settings: Extension,
    report: Report,
    scratch: Path,
    documents: Documents | None = None,
    called: str | None = None,
    replay: Documents | None = None,
) -> None:
    """Write `folder/model` and `folder/extension.json`; where it fails, neither is there.

    Args:
        vocabulary: the new tokens.
        base: the model folder to extend.
        folder: where the result goes.
        settings: how the new rows start.
        report: hears of the progress.
        scratch: where a rule that takes long keeps what it has and goes on from. It stays, so that nothing
            that goes wrong with the model costs the rows; the caller removes it.
        documents: text in the language to learn, for the rules that need it.
        called: what the user calls the base, a folder or a hub id; of a folder only the name is recorded.
        replay: text in other languages, for the rule that reads some.

    Raises:
        InputError: the rule for the new rows needs text and there is none.
        CheckpointError: the base is damaged, does not fit the vocabulary, or gives a new row no gradient.
        PreservationError: a tensor or a base row did not arrive byte for byte.
        SpaceError: the disk cannot take the model.
    """
    if settings.reads_text and documents is None:
        raise InputError(f"the rule {settings.init} learns from text; give some with --corpus")
    tokens = vocabulary.tokens()
    first = vocabulary.first_new_id
    rows = first + len(tokens)
    (folder / "extension.json").unlink(missing_ok=True)  # of an attempt that was killed
    shutil.rmtree(folder / "model", ignore_errors=True)
    with whole_folder(folder / "model") as model:
        with open_weights(base) as weights:
            fit = check_fit(vocabulary, weights)
            names = [name for name in weights.names() if name not in fit.dropped]
            width, size = weights.shape(INPUT_ROWS)[1], weights.dtype(INPUT_ROWS).itemsize
            check_space(model, weights.bytes() + len(row_names(weights)) * len(tokens) * width * size)
            known = Known(
                tokens,
                fit.used,
                fit.base,
                settings,
                documents or _no_text,
                lambda: _cutter(vocabulary, base),
                replay or _no_text,
            )
            copy_companions(vocabulary.tokenizer, base, model, rows)  # may refuse, so before what takes long
            tied = OUTPUT_ROWS not in names
            new, made = make_rows(weights, tied, known, scratch, report)
            with report.task("writing the extended model", len(names), "tensors") as task:
                digests = _write(model, weights, names, new, task)
            new.clear()
            with report.task("verifying", len(names), "tensors") as task, open_weights(model) as written:
                verify(weights, written, digests, rows, task.advance)
        about = {
            "first_new_id": first,
            "size": len(tokens),
            "rows": rows,
            "init": settings.init,
            "settings": settings.model_dump(mode="json"),
            "seed": settings.seed,
            "base": vocabulary.report["base"],
            "base_model": called if called and not Path(called).is_dir() else base.resolve().name,
            "tied": tied,
            "dropped": sorted(fit.dropped),
            "tensors_equal": len(names) - len({INPUT_ROWS, OUTPUT_ROWS}.intersection(names)),
            "digests": digests,
            **made,
        }
        if settings.gradient_tokens:
            about["gradient_flow"] = check_gradient_flow(model, tokens, settings.gradient_tokens, report)
    write_json(folder / "extension.json", about)


def _no_text() -> Iterator[str]:
    return iter(())


def _cutter(vocabulary: Vocabulary, base: Path) -> Cutter:
    """The base's own tokenizer, or the one the vocabulary was made from, and the extended one."""
    own = (base / "tokenizer.json").exists()
    old = load_base(str(base) if own else vocabulary.report["base"]["name"])
    return Cutter(old.tokenizer(), Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json")))


def _write(
    model: Path, weights: Weights, names: list[str], new: Mapping[str, Tensor], task: Task
) -> dict[str, str]:
    """Write all tensors; returns the digest of what the base gave to each."""
    rows_of_base: dict[str, str] = {}

    def grown(name: str) -> Iterator[Tensor]:
        total = hashlib.sha256()
        for block in weights.blocks(name):
            total.update(raw_bytes(block))
            yield block
        rows_of_base[name] = total.hexdigest()
        yield new[name]

    def tensors() -> Iterator[tuple[str, Tensor | Streamed]]:
        for name in names:
            shape, dtype = weights.shape(name), weights.dtype(name)
            if name in new:
                yield name, Streamed((shape[0] + len(new[name]), *shape[1:]), dtype, grown(name))
            else:
                yield name, Streamed(shape, dtype, weights.blocks(name))
            task.advance()

    return {**write_weights(model, tensors(), _SHARD_BYTES), **rows_of_base}
