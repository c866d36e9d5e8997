"""What a run has to show at its end, on one screen: the rest is on the report's page."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ekle.artifacts.evaluation_report import ALL_HELD_OUT, CONTROL
from ekle.bpe.base import load_tokenizer
from ekle.bpe.segmentation import token_spans
from ekle.page.formatting import SPACE
from ekle.pipeline.run_folder import RunFolder
from ekle.pipeline.status import bits_per_byte, held_out_tokens

_EXAMPLE = "Çocuklarımız evlerimizden çıkıp gidiyorlar."
_RECIPE = "qwen3-0.6b-turkish"


def run_summary(folder: Path) -> Iterator[str]:
    """The lines of it, at most 20; what the run has not made is left out."""
    at = RunFolder(folder)
    if not at.manifest("vocabulary") or not (at.vocabulary.folder / "report.json").is_file():
        return
    yield ""
    if counted := held_out_tokens(at):
        before, after = counted
        saved = f"{1 - after / before:.1%}".replace("%", f"{SPACE}%")
        yield f"Held-out Turkish text takes {saved} fewer tokens: {before:,} before | {after:,} after."
    losses = bits_per_byte(at)
    if len(losses) > 1:
        toy = " (a toy model)" if _is_toy(at) else ""
        yield f"Bits per byte, less is better: {losses[0]:.3f} before | {losses[-1]:.3f} after{toy}."
    yield from _control(at)
    yield from _example(at)
    yield ""
    places = {
        "The tokenizer": at.vocabulary.tokenizer,
        "The report": at.scorecard.folder / "report.html",
        "The model": at.release.model,
    }
    for name, place in places.items():
        if place.exists():
            yield f"{name:<15}{place}"
    yield ""
    hints = ["all figures: open the report in a browser"] if at.manifest("release") else []
    if (program := Path(sys.argv[0])).name == "ekle" and shutil.which("ekle") is None:
        hints.insert(0, f"ekle is {os.path.relpath(program)}")  # a clone has it in .venv alone
    yield f"Next ({'; '.join(hints)}):" if hints else "Next:"
    run = shlex.quote(str(folder))
    if not at.manifest("release"):
        yield f"  ekle status {run}"
    yield f'  ekle try {run} "{_EXAMPLE}"'
    if _is_toy(at):
        yield f"  ekle plan {_RECIPE} --gpu 16GB"
        yield f"  ekle run {_RECIPE} --set 'corpus.sources=[\"my-text/\"]'"
    elif at.manifest("release"):
        yield f"  ekle export {run} --out model"


def _control(at: RunFolder) -> Iterator[str]:
    """Ours against the control, where the evaluation has both."""
    file = at.scorecard.folder / "report.json"
    report = at.scorecard.report if at.manifest("evaluation") and file.is_file() else None
    control = ((report.likelihood if report else None) or {}).get(CONTROL, {}).get(ALL_HELD_OUT)
    if report is None or control is None:
        return
    told = f"; while training, ours {report.control.by_compute}" if report.control else ""
    yield f"The control, the base trained for as many operations: {control.bits_per_byte.value:.3f}{told}."


def _example(at: RunFolder) -> Iterator[str]:
    """A sentence in the tokens of the base and in those of the run."""
    name = str(at.vocabulary.report["base"]["name"])
    for label, tokenizer in (
        ("before", load_tokenizer(name)),
        ("after", load_tokenizer(at.vocabulary.tokenizer)),
    ):
        tokens = [span.text for span in token_spans(tokenizer, _EXAMPLE)]
        yield f"  {label:<7}{len(tokens):>3}  {'|'.join(tokens)}"


def _is_toy(at: RunFolder) -> bool:
    return bool(at.recipe()["base"]["model"] == "tiny")
