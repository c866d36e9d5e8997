"""Extending a model folder: row matrices grow, all other tensors pass through unread.

Reading and writing go part by part (`ekle.model.checkpoint.weights`), so memory holds the new rows and 64
MB, not the model. The base's bytes are digested when they are read; what was written is read again and held
against that before the folder counts as done.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.chat_templates import read_templates, write_templates
from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.errors import CheckpointError, InputError, PreservationError
from ekle.extension.compatibility import check_compatibility
from ekle.extension.gradient_flow import check_gradient_flow
from ekle.extension.initialise import InitialisationContext, initialise_embeddings
from ekle.files import atomic_file, atomic_folder, write_json
from ekle.model.checkpoint.loading import load_tokenizer
from ekle.model.checkpoint.safetensors_file import StreamedTensor, raw_bytes
from ekle.model.checkpoint.weights import (
    INPUT_EMBEDDINGS,
    OUTPUT_EMBEDDINGS,
    Weights,
    check_space,
    embedding_names,
    open_weights,
    read_config_json,
    write_weights,
)
from ekle.model.encoding import prefix_token_id
from ekle.progress import ProgressReporter, Task
from ekle.recipe.extension import ExtensionSettings

_SHARD_BYTES = 2_000_000_000


Documents = Callable[[], Iterator[str]]
"""Gives the texts of the user, from the first one on each time it is called."""


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
    for the rule that reads some. `called` is what the user calls the base, a folder or a hub id. A rule that
    takes long keeps what it has in a hidden folder beside `out` and goes on from there when it is called
    again.
    """
    scratch = out.with_name(f".{out.name}.rows")
    with atomic_folder(out) as folder:
        write_extension(
            Vocabulary(vocabulary), base, folder, settings, reporter, scratch, documents, base_name, replay
        )
    shutil.rmtree(scratch, ignore_errors=True)  # not before the model is in its place
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
    """Write `folder/model` and `folder/extension.json`; where it fails, neither is there.

    Args:
        vocabulary: the new tokens.
        base: the model folder to extend.
        folder: where the result goes.
        settings: how the new rows start.
        reporter: hears of the progress.
        scratch: where a rule that takes long keeps what it has and goes on from. It stays, so that nothing
            that goes wrong with the model costs the rows; the caller removes it.
        documents: text in the language to learn, for the rules that need it.
        called: what the user calls the base, a folder or a hub id; of a folder only the name is recorded.
        replay: text in other languages, for the rule that reads some.

    Raises:
        InputError: the rule for the new rows needs text and there is none.
        CheckpointError: the base is damaged, does not fit the vocabulary, or gives a new row no gradient.
        PreservationError: a tensor or a base row did not arrive byte for byte.
        TokenizerError: the rule puts a token before each passage, and the tokenizer has none for that.
        SpaceError: the disk cannot take the model.
    """
    if settings.reads_text and documents is None:
        raise InputError(f"the rule {settings.init} learns from text; give some with --corpus")
    tokens = vocabulary.tokens()
    first = vocabulary.first_new_id
    rows = first + len(tokens)
    (folder / "extension.json").unlink(missing_ok=True)  # of an attempt that was killed
    shutil.rmtree(folder / "model", ignore_errors=True)
    with atomic_folder(folder / "model") as model:
        with open_weights(base) as weights:
            fit = check_compatibility(vocabulary, weights)
            names = [name for name in weights.names() if name not in fit.dropped]
            width, size = weights.shape(INPUT_EMBEDDINGS)[1], weights.dtype(INPUT_EMBEDDINGS).itemsize
            check_space(model, weights.bytes() + len(embedding_names(weights)) * len(tokens) * width * size)
            known = InitialisationContext(
                tokens,
                fit.used_ids,
                fit.base,
                settings,
                documents or _no_text,
                lambda: _tokenizer_pair(vocabulary, base),
                lambda: prefix_token_id(load_tokenizer(vocabulary.tokenizer)),
                replay or _no_text,
            )
            copy_config_and_tokenizer(
                vocabulary.tokenizer, base, model, rows
            )  # may refuse, so before what takes long
            tied = OUTPUT_EMBEDDINGS not in names
            new, made = initialise_embeddings(weights, tied, known, scratch, reporter)
            with reporter.task("writing the extended model", len(names), "tensors") as task:
                digests = _write(model, weights, names, new, task)
            new.clear()
            with reporter.task("verifying", len(names), "tensors") as task, open_weights(model) as written:
                verify_extension(weights, written, digests, rows, task.advance)
        about = {
            "first_new_id": first,
            "size": len(tokens),
            "rows": rows,
            "init": settings.init,
            "settings": settings.model_dump(mode="json"),
            "seed": settings.seed,
            "base": vocabulary.report["base"],
            "base_model": base_name if base_name and not Path(base_name).is_dir() else base.resolve().name,
            "tied": tied,
            "dropped": sorted(fit.dropped),
            "tensors_equal": len(names) - len({INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS}.intersection(names)),
            "digests": digests,
            **made,
        }
        if settings.gradient_tokens:
            about["gradient_flow"] = check_gradient_flow(model, tokens, settings.gradient_tokens, reporter)
    write_json(folder / "extension.json", about)


def _no_text() -> Iterator[str]:
    return iter(())


def _tokenizer_pair(vocabulary: Vocabulary, base: Path) -> TokenizerPair:
    """The base's own tokenizer, or the one the vocabulary was made from, and the extended one."""
    own = (base / "tokenizer.json").exists()
    old = load_base(str(base) if own else vocabulary.report["base"]["name"])
    return TokenizerPair(old.tokenizer(), Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json")))


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

    def tensors() -> Iterator[tuple[str, Tensor | StreamedTensor]]:
        for name in names:
            shape, dtype = weights.shape(name), weights.dtype(name)
            if name in new:
                yield name, StreamedTensor((shape[0] + len(new[name]), *shape[1:]), dtype, grown(name))
            else:
                yield name, StreamedTensor(shape, dtype, weights.blocks(name))
            task.advance()

    return {**write_weights(model, tensors(), _SHARD_BYTES), **rows_of_base}


_SLOW_TOKENIZER = {"vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"}


def copy_config_and_tokenizer(tokenizer: Path, base: Path, model: Path, rows: int) -> None:
    """Write the files beside the weights into the folder `model`.

    The base gives config.json (with `vocab_size` set to `rows` and not another byte changed),
    generation_config.json, its chat templates and its licence; `tokenizer`, a folder, gives the tokenizer,
    and the templates where the base has none. Files of a slow tokenizer would contradict tokenizer.json, and
    code is not carried on.

    Raises:
        CheckpointError: config.json has no single `vocab_size`.
        TokenizerError: what the base has for chat templates is none.
    """
    for path in sorted(base.iterdir()):
        if path.is_file() and _is_copied(path):
            shutil.copyfile(path, model / path.name)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, model / name)
    write_templates(model, read_templates(base) or read_templates(tokenizer))
    with atomic_file(model / "config.json") as temporary:
        temporary.write_text(_config_with_rows(base, rows), encoding="utf-8")


def _is_copied(path: Path) -> bool:
    if path.name in _SLOW_TOKENIZER or path.name.startswith(".") or path.name.endswith(".index.json"):
        return False
    return path.suffix == ".json" or path.name.startswith(("LICENSE", "NOTICE"))


def _config_with_rows(base: Path, rows: int) -> str:
    text = (base / "config.json").read_text(encoding="utf-8")
    grown, count = re.subn(r'("vocab_size"\s*:\s*)\d+', rf"\g<1>{rows}", text)
    if count != 1 or json.loads(grown) != {**read_config_json(base), "vocab_size": rows}:
        raise CheckpointError(f"{base / 'config.json'} has no single vocab_size; ekle extends text models")
    return grown


def verify_extension(
    base: Weights, written: Weights, digests: Mapping[str, str], rows: int, done: Callable[[], None]
) -> None:
    """Compare the extended model on disk with its base.

    Args:
        base: the base's weights; only names, types and shapes are looked at.
        written: what was written.
        digests: SHA-256 of each tensor that the extended model must have, taken when the base's bytes were
            read; of a row matrix, of the base's rows in it.
        rows: rows that the row matrices must have.
        done: called after each tensor.

    Raises:
        PreservationError: a tensor is absent, too many, of another type or shape, or differs in a byte.
    """
    if written.names() != sorted(digests):
        raise PreservationError(f"{written.folder} has other tensors than the base")
    for name, digest in digests.items():
        shape = base.shape(name)
        wanted = (rows, *shape[1:]) if name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS) else shape
        if written.shape(name) != wanted or written.dtype(name) != base.dtype(name):
            raise PreservationError(f"{name} was written as {written.shape(name)} and not as {wanted}")
        if written.digest(name, shape[0] if shape else None) != digest:
            raise PreservationError(f"{name} did not arrive byte for byte; is the disk sound?")
        done()
