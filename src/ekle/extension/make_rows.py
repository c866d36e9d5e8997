"""New rows for a model: computed by a rule, or learned by distillation."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ekle.extension.distillation import Distiller
from ekle.extension.initialise import Known, new_rows
from ekle.extension.rules.distilled import distilled_rows
from ekle.extension.rules.statistics import row_statistics
from ekle.extension.snippets import plain_passages, snippets
from ekle.extension.teacher import layers_at, load_teacher, opening_id
from ekle.model.row_matrix import RowsOnDisk
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS, Weights
from ekle.progress import Report
from ekle.recipe.extension import Heuristic


def make_rows(
    weights: Weights, tied: bool, known: Known, scratch: Path, report: Report
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The new rows by the name of their matrix, in the precision of the model; and what there is to tell.

    Args:
        weights: the base.
        tied: whether the input rows serve the output as well.
        known: the new tokens, the settings, the text.
        scratch: where a rule that takes long keeps what it has, when it is done, too: whoever has written
            the rows removes it.
        report: hears of the progress.
    """
    method = known.settings.init
    if method == "distilled":
        rows, about = _distilled(weights, tied, known, scratch, report)
    else:
        rows, about = _computed(method, weights, tied, known, report), {}
    return {name: table.to(weights.dtype(name)) for name, table in rows.items()}, about


def _computed(
    method: Heuristic, weights: Weights, tied: bool, known: Known, report: Report
) -> dict[str, Tensor]:
    """Rows (new tokens, width) in float32 by a rule that does not run the model."""
    with report.task(f"new rows: {method}", 1 if tied else 2, "matrices") as task:
        matrix = RowsOnDisk(weights, INPUT_ROWS)
        found = {INPUT_ROWS: new_rows(method, matrix, known, "both" if tied else "input")}
        task.advance()
        if not tied:
            output = known.settings.output or method
            found[OUTPUT_ROWS] = new_rows(output, RowsOnDisk(weights, OUTPUT_ROWS), known, "output")
            task.advance()
    return found


def _distilled(
    weights: Weights, tied: bool, known: Known, scratch: Path, report: Report
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Rows that are learned, from those of the rule `distillation.start`."""
    settings = known.settings.distillation
    start = _computed(settings.start, weights, tied, known, report)
    cutter = known.cutter()
    first = known.tokens[0].id
    passages = snippets(known.documents(), cutter, first, len(known.tokens), settings, report)
    share = settings.replay_share / (1 - settings.replay_share)
    wanted = round(share * sum(len(passage.new) for passage in passages))
    passages += plain_passages(known.replay(), cutter, wanted, settings.snippet_characters)
    scales = {name: row_statistics(RowsOnDisk(weights, name), known.used).rms for name in start}
    model = load_teacher(weights.folder)
    depth = layers_at(settings.depth, model.config.num_hidden_layers)
    # A rule that is named for the output has the last word there.
    weight = 0.0 if known.settings.output and not tied else settings.output_weight
    distiller = Distiller(model, start, opening_id(cutter.base, model.config), depth, weight)
    rows, progress = distilled_rows(
        distiller, passages, scales, settings, known.settings.seed, scratch, report
    )
    about = {key: value for key, value in asdict(progress).items() if key != "stretch"}
    about["seconds"] = round(progress.seconds, 1)
    return rows, {"distillation": {"layers": depth, "passages": len(passages), **about}}
