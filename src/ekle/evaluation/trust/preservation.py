"""Preservation: whether an extended model still is its base, byte for byte, except for the new rows."""

from collections.abc import Mapping
from pathlib import Path

from ekle.artifacts import ExtendedModel
from ekle.artifacts.evaluation_report import Preservation
from ekle.evaluation.evaluated_models import is_model
from ekle.files import read_json
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, Weights, open_weights
from ekle.progress import ProgressReporter

_RECORD = "extension.json"


def extension_record(model: Path) -> Path | None:
    """The file with digests that `ekle extend` wrote next to the model folder `model`; None without one."""
    record = model.parent / _RECORD
    if model.name != "model" or not record.is_file() or not is_model(model):
        return None
    return record if "digests" in read_json(record) else None


def verify_preserved(record: Path, base: Path | None, reporter: ProgressReporter) -> Preservation:
    """Read all weights again and compare them with the digests that were taken when the model was extended.

    Args:
        record: extension.json of the extended model; its digests are of the bytes that the base had then.
        base: the base as it is now; None where only its tokenizer is known.
        reporter: receives progress.

    Raises:
        CheckpointError: a model folder is damaged.
    """
    about = read_json(record)
    digests, rows = about["digests"], int(about["first_new_id"])
    model = ExtendedModel(record.parent).model
    return Preservation(
        tensors=len(digests),
        rows=rows,
        changed=_changed(model, digests, rows, reporter, new_too=True),
        base_changed=None if base is None else _changed(base, digests, rows, reporter, new_too=False),
    )


def _changed(
    folder: Path, digests: Mapping[str, str], rows: int, reporter: ProgressReporter, *, new_too: bool
) -> list[str]:
    """The tensors of `folder` that differ from `digests`; with `new_too` also those that it does not know."""
    changed = []
    with open_weights(folder) as weights:
        names = {*digests, *weights.names()} if new_too else set(digests)
        with reporter.task(f"reading {folder.name} again", len(names), "tensors") as task:
            for name in sorted(names):
                if not _same(weights, name, digests, rows):
                    changed.append(name)
                task.advance()
    return changed


def _same(weights: Weights, name: str, digests: Mapping[str, str], rows: int) -> bool:
    if name not in weights.names() or name not in digests:
        return False
    limit = rows if name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS) else None
    return weights.digest(name, limit) == digests[name]
