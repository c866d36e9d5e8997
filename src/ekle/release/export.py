"""`ekle export --format hf`: a model folder out of a run, an extension or a release."""

import shutil
from pathlib import Path

from ekle.artifacts import Checkpoint, folder_name
from ekle.errors import InputError
from ekle.files import atomic_file, atomic_folder
from ekle.progress import ProgressReporter
from ekle.recipe.release import ReleaseSettings
from ekle.release.model_folder import write_release


def export_hf(source: Path, out: Path, settings: ReleaseSettings, reporter: ProgressReporter) -> Path:
    """Write the model of a run, an extension or a release as a Hugging Face folder `out`.

    Raises:
        InputError: `source` holds none of these.
        RunFolderError: `out` exists and is not empty.
    """
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
