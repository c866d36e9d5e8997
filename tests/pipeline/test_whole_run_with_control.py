"""A control through the real stages: added to a finished run, measured, shown."""

import json
import shutil
from pathlib import Path

import pytest
from whole_recipe import write_whole_recipe
from worker_processes import Command, run_in_processes

from ekle.artifacts import ORDER, WITHOUT_CONTROL
from ekle.artifacts.evaluation_report import EvaluationReport
from ekle.cli import main
from ekle.pipeline.status import read_status, training_status
from ekle.pipeline.summary import run_summary

pytestmark = pytest.mark.xdist_group("whole run with a control")


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path]) -> Path:
    """The run `whole`, finished without a control; its recipe is beside its folder."""
    root = tmp_path_factory.mktemp("beside")
    write_whole_recipe(root, _bases[False])
    assert main(["run", str(root / "whole.toml"), "--runs", str(root / "runs")]) == 0
    return root


@pytest.fixture(scope="module")
def run(without: Path) -> Path:
    """The same run with a control added."""
    shutil.copytree(without / "runs" / "whole", without / "added" / "whole")
    assert main(["run", str(without / "whole.toml"), "--runs", str(without / "added"), "--control"]) == 0
    return without / "added" / "whole"


def report_of(run: Path) -> EvaluationReport:
    return EvaluationReport.read(run / "6-evaluation" / "report.json")


def made(run: Path) -> dict[str, str]:
    """When each stage was finished."""
    return {row.stage: row.finished for row in read_status(run)}


def test_a_control_is_added_and_what_does_not_read_it_is_kept(without: Path, run: Path) -> None:
    before = {
        stage: (without / "runs" / "whole" / f"{number}-{stage}" / "manifest.json").read_bytes()
        for number, stage in enumerate(WITHOUT_CONTROL[:5], start=1)
    }
    after = {
        stage: (run / f"{number}-{stage}" / "manifest.json").read_bytes()
        for number, stage in enumerate(WITHOUT_CONTROL[:5], start=1)
    }
    assert after == before
    assert list(made(run)) == list(ORDER)
    assert not (without / "runs" / "whole" / "5-control").exists()


def test_the_control_has_our_budget_and_our_text(run: Path) -> None:
    ours, control = (
        json.loads((run / folder / "training.json").read_text("utf-8"))
        for folder in ("5-training", "5-control")
    )
    assert control["budget_flops"] == ours["flops"]
    assert control["flops"] == pytest.approx(ours["flops"], rel=0.5 / control["steps"])
    sources = {name for name in ours if name.endswith("_tokens") and name != "new_tokens"}
    assert sources == {name for name in control if name.endswith("_tokens")}
    assert not (run / "5-control" / "new_rows.safetensors").exists()


def test_the_report_measures_the_control_and_compares_the_trainings(run: Path) -> None:
    report = report_of(run)
    assert report.likelihood is not None and list(report.likelihood) == [
        "base",
        "extended",
        "trained",
        "control",
    ]
    assert report.likelihood["control"] != report.likelihood["base"]
    assert report.models is not None and report.models["control"] == report.models["base"]
    assert report.inference is not None and report.inference.models == ["base", "trained"]
    compared = report.control
    assert compared is not None
    assert compared.control[0].flops == compared.control[0].text_bytes == 0
    assert compared.end_flops == min(compared.ours[-1].flops, compared.control[-1].flops)
    assert (compared.crossing_flops is not None) == (compared.difference < 0)
    assert report.training is not None and report.training.control


def test_evaluate_measures_the_control_of_a_run_unless_another_base_is_named(
    run: Path, _bases: dict[bool, Path], tmp_path: Path
) -> None:
    few = {"context": 64, "bytes_per_text": 400, "samples": 0, "new_tokens": 4, "speed_passages": 0}
    settings = [word for name, value in few.items() for word in ("--set", f"evaluation.{name}={value}")]
    for name, against in (("own", []), ("other", ["--against", str(_bases[False])])):
        out = tmp_path / name
        assert main(["evaluate", str(run), "--out", str(out), *against, *settings]) == 0
        found = EvaluationReport.read(out / "report.json").likelihood
        assert found is not None and ("control" in found) == (name == "own")


def test_page_screen_and_status_show_the_control(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (run / "6-evaluation" / "report.html").read_text("utf-8")
    assert '<section id="control">' in page
    assert 'id="plot-control-compute"' in page and 'id="plot-control-bytes"' in page
    assert sum("control" in line for line in run_summary(run)) == 1
    assert len(list(run_summary(run))) <= 20
    assert "step" in training_status(run, "control")
    assert main(["status", str(run)]) == 0
    said = capsys.readouterr().out
    assert "5-control" in said and "control: step" in said


def test_a_run_without_a_control_shows_none(without: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = without / "runs" / "whole"
    assert report_of(run).control is None
    assert 'id="control"' not in (run / "6-evaluation" / "report.html").read_text("utf-8")
    assert main(["status", str(run)]) == 0
    said = capsys.readouterr().out + "\n".join(run_summary(run))
    assert "control" not in said


@pytest.mark.slow(seconds=40)
def test_several_processes_train_ours_and_then_the_control(without: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "whole"
    shutil.copytree(without / "runs" / "whole", run)
    for folder in ("5-training", "6-evaluation", "7-release"):
        shutil.rmtree(run / folder)
    words = ["run", str(without / "whole.toml"), "--runs", str(tmp_path / "runs")]
    run_in_processes(2, [Command([*words, "--until", "control"])])
    about = json.loads((run / "5-control" / "training.json").read_text("utf-8"))
    assert about["processes"] == 2
    assert {row.stage: row.state for row in read_status(run)}["control"] == "made"
    shutil.rmtree(run / "5-control")
    run_in_processes(2, [Command([*words, "--until", "control"])])
    assert {row.stage: row.state for row in read_status(run)}["control"] == "made"
