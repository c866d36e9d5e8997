"""Settling: the base learns from plain text with its own tokenizer first, so that a gain is no mere settling.

An instruction model gains much from any plain text. What follows starts behind that.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.real.parts import Result
from benchmarks.real.sizes import ENDS, Ends, Lines, Size
from benchmarks.real.text import Text
from benchmarks.real.training import training_recipe, training_settings
from benchmarks.real.workspace import Workspace, weights_digest
from ekle.artifacts import Checkpoint
from ekle.files import atomic_folder
from ekle.model.checkpoint.weights import read_config_json
from ekle.pipeline.base_training import train_base
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.release.model_folder import write_release

_POINTS = 5  # evaluations while settling
_SHARD_BYTES = 5_000_000_000


def settled_folders(
    work: Path,
    size: Size,
    text: Text,
    given: Mapping[Ends, Path],
    settled: Mapping[Ends, Path],
    reporter: ProgressReporter,
) -> dict[Ends, Path]:
    """The settled bases: those that were given, and otherwise trained here.

    The tied base is trained. The untied one has the same layers, so the same adapter is merged into it; the
    ends do not learn, and stay as they are.

    Args:
        work: folder of finished work.
        size: how they are trained.
        text: what they learn from.
        given: the bases.
        settled: settled bases to take as they are.
        reporter: receives progress.
    """
    folder, found = work / "settled", dict(settled)
    if "tied" in given and "tied" not in found:
        found["tied"] = train_base(settling(size), text.settle, given["tied"], folder, reporter=reporter)
    if "untied" in given and "untied" not in found:
        found["untied"] = folder / "untied"
        checkpoint = Checkpoint(folder / "training", has_new_rows=False)
        if not found["untied"].exists():
            if not checkpoint.adapter.exists():
                train_base(settling(size), text.settle, given["tied"], folder, reporter=reporter)
            with atomic_folder(found["untied"]) as made:
                write_release(
                    given["untied"],
                    checkpoint,
                    made,
                    dtype="base",
                    shard_bytes=_SHARD_BYTES,
                    reporter=reporter,
                )
    return {ends: found[ends] for ends in ENDS if ends in found}


def settling(size: Size) -> Recipe:
    """The recipe of the settling."""
    return training_recipe(size, training_settings(size, size.settle_steps, _POINTS))


def keep_settling(space: Workspace, ends: Ends) -> Result:
    """The part `settle`, of a base: what it was settled by, and bits per byte before and after."""
    size, model = space.size, space.settled[ends]
    own = model.is_relative_to(space.work)
    inputs = {
        "weights": weights_digest(space.given[ends]),
        "settled_weights": space.settled_digests[ends],
        "text": space.text.digest("test"),
    }

    def make() -> Result:
        config = read_config_json(model)
        return {
            "model_type": config["model_type"],
            "hidden_size": config["hidden_size"],
            "layers": config["num_hidden_layers"],
            "rows": config["vocab_size"],
            "trained_here": own,
            "weights": inputs["weights"],
            "settled_weights": inputs["settled_weights"],
            "seed": 0,
            "steps": size.settle_steps,
            "step_tokens": size.step_tokens,
            "turkish_lines": _range(size.ranges.settle_turkish),
            "english_lines": _range(size.ranges.settle_english),
            "training": training_settings(size, size.settle_steps, _POINTS),
            "before": space.bits(space.given[ends], "test"),
            "after": space.bits(model, "test"),
        }

    return space.parts.keep(f"settle/{ends}", inputs, make)


def _range(lines: Lines) -> list[int | None]:
    return [lines.first, lines.stop]
