"""`ekle export`: the model of a run, an extension or a release, in the format of an engine."""

import shutil
from pathlib import Path
from typing import assert_never

from ekle.artifacts import Checkpoint, folder_name
from ekle.bpe.opening import read_specification
from ekle.bpe.pre_tokenizers import how_to_make_gguf
from ekle.errors import InputError, NotAvailableError
from ekle.files import atomic_file, atomic_folder
from ekle.progress import ProgressReporter
from ekle.recipe.release import ExportFormat, ReleaseSettings
from ekle.release.model_folder import write_release


def export(
    source: Path,
    out: Path,
    settings: ReleaseSettings,
    reporter: ProgressReporter,
    format: ExportFormat = "hf",
) -> Path:
    """Write the model of a run, an extension or a release to `out`, which is returned.

    Args:
        source: the folder of a run, an extended model or a release.
        out: a new or empty folder.
        settings: precision of the weights and size of their files.
        reporter: receives progress.
        format: `hf` is a Hugging Face folder: merged weights, tokenizer, model card.

    Raises:
        NotAvailableError: `format` is not built yet.
        InputError: `source` holds no model.
        RunFolderError: `out` exists and is not empty.
    """
    match format:
        case "hf":
            return _export_hf(source, out, settings, reporter)
        case "gguf":
            raise NotAvailableError(f"--format gguf is not built yet; hf is. {_how_to_convert(source)}")
        case "int8" | "int4":
            raise NotAvailableError(
                f"--format {format} is not built yet; hf is, and converters of engines read it"
            )
        case _:
            assert_never(format)


def _how_to_convert(source: Path) -> str:
    """How llama.cpp makes a GGUF file of the model in `source`, by its pre-tokenizer."""
    try:
        model, _ = _find(source)
        spec = read_specification(model / "tokenizer.json")
    except InputError:
        return "Converters of engines read it"
    return how_to_make_gguf(spec)


def _export_hf(source: Path, out: Path, settings: ReleaseSettings, reporter: ProgressReporter) -> Path:
    extended, checkpoint = _find(source)
    with atomic_folder(out) as folder:
        shard_bytes = int(settings.shard_gigabytes * 1e9)
        write_release(
            extended, checkpoint, folder, dtype=settings.dtype, shard_bytes=shard_bytes, reporter=reporter
        )
        card = source / folder_name("release") / "model" / "README.md"
        if card.exists():
            with atomic_file(folder / "README.md") as path:
                shutil.copyfile(card, path)
    return out


def _find(source: Path) -> tuple[Path, Checkpoint | None]:
    """The extended model folder below `source`, and what training made of it."""
    run = source / folder_name("extension") / "model"
    if run.is_dir():
        training = Checkpoint(source / folder_name("training"))
        return run, training if training.rows.exists() else None
    for place in (source / "model", source):
        if (place / "config.json").exists():
            return place, None
    raise InputError(f"{source} is no run, extended model or release: no config.json in it")
