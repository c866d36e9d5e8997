"""One run through the real stages, and the commands that take what it left."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import BASE_ROWS
from tokenizers import Tokenizer
from whole_recipe import SIZE, write_whole_recipe
from worker_processes import Command, OnlyTheMainProcessWrites, run_in_processes

import ekle
from ekle.artifacts import WITHOUT_CONTROL, folder_name
from ekle.cli import main
from ekle.errors import RunFolderError
from ekle.pipeline.status import read_status
from ekle.pipeline.summary import run_summary

pytestmark = pytest.mark.xdist_group("whole run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, _bases: dict[bool, Path]) -> Path:
    """A folder with the finished run `whole`, made by the command line."""
    root = tmp_path_factory.mktemp("whole")
    write_whole_recipe(root, _bases[False])
    assert main(["run", str(root / "whole.toml"), "--runs", str(root / "runs")]) == 0
    return root / "runs"


def test_every_stage_is_made_and_has_something_to_show(runs: Path) -> None:
    rows = read_status(runs / "whole")
    assert [row.stage for row in rows] == list(WITHOUT_CONTROL)
    assert {row.state for row in rows} == {"made"}
    assert all(row.figures for row in rows)


def test_training_has_read_every_kind_of_text(runs: Path) -> None:
    about = json.loads((runs / "whole" / "5-training" / "training.json").read_text("utf-8"))
    read = {name: about[name] for name in about if name.endswith("_tokens") and name != "new_tokens"}
    assert sorted(read) == ["instructions_tokens", "replay_tokens", "turkish-1_tokens"]
    assert all(read.values())
    assert sum(read.values()) == about["tokens"] == 4 * 2 * 32


def test_the_released_model_loads_with_its_rows_and_its_tokenizer(runs: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = runs / "whole" / "7-release" / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.get_input_embeddings().weight.shape[0] == BASE_ROWS + SIZE == len(tokenizer)
    text = "Evlerimizden birinde yaşlı bir adam"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_extended_tokenizer_saves_tokens_on_text_it_has_not_seen(runs: Path) -> None:
    report = json.loads((runs / "whole" / "6-evaluation" / "report.json").read_text("utf-8"))
    assert report["tokens"]["all_held_out"]["saved"]["value"] > 0.03
    assert set(report["likelihood"]) == {"base", "extended", "trained"}


def test_the_same_command_keeps_everything(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(runs.parent / "whole.toml"), "--runs", str(runs)]) == 0
    assert capsys.readouterr().out.count(" kept ") == len(WITHOUT_CONTROL)


def test_train_keeps_what_is_trained(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(runs.parent / "whole.toml"), "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert said.count(" kept ") == len(WITHOUT_CONTROL[:5])
    assert "made first" not in said


def test_train_in_python_takes_what_is_there(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "whole", tmp_path / "whole")
    for stage in ("training", "evaluation", "release"):
        shutil.rmtree(tmp_path / "whole" / folder_name(stage))
    checkpoint = ekle.train(runs.parent / "whole.toml", tmp_path / "whole")
    assert checkpoint.rows.is_file()
    same = runs / "whole" / folder_name("training") / checkpoint.rows.name
    assert checkpoint.rows.read_bytes() == same.read_bytes()
    shutil.rmtree(tmp_path / "whole" / folder_name("corpus"))
    with pytest.raises(RunFolderError, match=r'has no 1-corpus, .*until="extension"'):
        ekle.train(runs.parent / "whole.toml", tmp_path / "whole")


def test_a_run_says_on_one_screen_what_it_made(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = list(run_summary(runs / "whole"))
    text = "\n".join(lines)
    assert len(lines) + 1 <= 24
    assert "fewer tokens" in text and "Bits per byte" in text and text.count(" before | ") == 2
    assert all(str(runs / "whole" / place) in text for place in ("2-vocabulary/tokenizer", "7-release/model"))
    assert any(line.startswith("Next") for line in lines)
    # The tokens of this small base are bytes, so that its lines of an example are longer than Qwen's.
    short = [
        line.replace(str(runs), "runs") for line in lines if not line.startswith(("  before", "  after"))
    ]
    assert max(map(len, short)) <= 80
    assert main(["run", str(runs.parent / "whole.toml"), "--runs", str(runs)]) == 0
    assert capsys.readouterr().out.endswith(text + "\n")


def test_what_to_type_next_names_the_program_of_a_clone(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    monkeypatch.setattr("sys.argv", [str(runs / ".venv" / "bin" / "ekle"), "run"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    (line,) = (line for line in run_summary(runs / "whole") if line.startswith("Next"))
    assert ".venv/bin/ekle" in line
    assert len(line) <= 80
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    (line,) = (line for line in run_summary(runs / "whole") if line.startswith("Next"))
    assert "bin/ekle" not in line


def test_no_command_pads_a_table_where_there_is_no_terminal(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, _bases: dict[bool, Path]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    run, text = str(runs / "whole"), str(runs.parent / "turkish.txt")
    for words in (
        ["status", run],
        ["try", run, "Evlerimizden birinde"],
        ["compare", str(_bases[False]), run, "--text", text, "--changes"],
        ["compare", run, f"{run}/6-evaluation"],
        ["plan", "qwen3-8b-turkish", "--gpu", "40GB"],
        ["plan", "quickstart", "--gpu", "t4"],
        ["run", str(runs.parent / "whole.toml"), "--runs", str(runs)],
    ):
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > 3
        assert not [line for line in lines if line != line.rstrip(" ")], words


def test_try_compare_and_export_take_a_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], _bases: dict[bool, Path]
) -> None:
    run = str(runs / "whole")
    assert main(["try", run, "Evlerimizden birinde"]) == 0
    assert "tokens against" in capsys.readouterr().out
    text = str(runs.parent / "turkish.txt")
    assert main(["compare", str(_bases[False]), run, "--text", text]) == 0
    assert "whole" in capsys.readouterr().out
    assert main(["export", run, "--out", str(tmp_path / "out")]) == 0
    exported = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert exported.get_vocab_size() == BASE_ROWS + SIZE


def test_the_steps_by_themselves_lead_to_the_same_rows(
    runs: Path, tmp_path: Path, _bases: dict[bool, Path]
) -> None:
    vocabulary, base = runs / "whole" / "2-vocabulary", _bases[False]
    out = tmp_path / "extended"
    words = ["extend", "--vocab", str(vocabulary), "--base", str(base), "--init", "hybrid", "--out", str(out)]
    assert main(words) == 0
    weights = "model/model.safetensors"
    assert (out / weights).read_bytes() == (runs / "whole" / "4-extension" / weights).read_bytes()


def test_evaluate_measures_a_run_against_its_base(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(runs / "whole")]
    settings = ["evaluation.context=64", "evaluation.bytes_per_text=200", "evaluation.prompts=[]"]
    settings += ["evaluation.speed_passages=0"]
    arguments += ["--text", str(runs.parent / "turkish.txt"), "--out", str(tmp_path / "out")]
    assert main([*arguments, *(word for s in settings for word in ("--set", s))]) == 0
    shown = capsys.readouterr()
    assert "fewer tokens" in shown.out
    assert not [line for line in shown.out.splitlines() if line.endswith(" ")]
    assert shown.err == "ekle: --text is now --held-out; ekle 0.3 drops the old names\n"
    assert (tmp_path / "out" / "report.html").is_file()
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert list(report["likelihood"]) == ["base", "extended", "trained"]
    assert report["contamination"]["turkish"]["overlapping"]["value"] > 0.5  # the run learned from this text
    own = json.loads((runs / "whole" / "6-evaluation" / "report.json").read_text("utf-8"))
    assert (report["vocabulary"], report["training"]) == (own["vocabulary"], own["training"])
    measured = {row["key"] for row in report["criteria"] if "met" in row}
    assert {"final_loss", "final_loss_stretch", "gradients", "training_time"} <= measured
    places = {name: part["place"] for name, part in report["provenance"]["measured"].items()}
    assert places["trained"] == "whole/7-release/model" and "/" not in places["base"]


@pytest.mark.skipif(
    torch.cuda.device_count() == 1, reason="a process drives one GPU: two are needed, or none"
)
@pytest.mark.slow(seconds=10)
def test_two_processes_train_what_one_has_prepared(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "whole", tmp_path / "whole")
    for stage in ("training", "evaluation", "release"):
        shutil.rmtree(tmp_path / "whole" / folder_name(stage))
    recipe = str(runs.parent / "whole.toml")
    run_in_processes(2, [Command(["train", recipe, "--runs", str(tmp_path)])])
    about = json.loads((tmp_path / "whole" / "5-training" / "training.json").read_text("utf-8"))
    assert about["processes"] == 2
    assert [row.state for row in read_status(tmp_path / "whole")][4] == "made"


@pytest.mark.slow(seconds=15)
def test_two_processes_learn_the_rows_of_one(runs: Path, tmp_path: Path) -> None:
    recipe, found = str(runs.parent / "whole.toml"), []
    settings = ["init=mapped", "mapped.tokens=4096", "mapped.batch_tokens=1024", "mapped.learning_rate=0.05"]
    words = [word for setting in settings for word in ("--set", f"extension.{setting}")]
    for processes in (1, 2):
        root = tmp_path / str(processes)
        shutil.copytree(runs / "whole", root / "whole")
        for stage in ("extension", "training", "evaluation", "release"):
            shutil.rmtree(root / "whole" / folder_name(stage))
        command = ["run", recipe, "--runs", str(root), "--until", "extension", *words]
        run_in_processes(processes, [OnlyTheMainProcessWrites(command)])
        found.append(root / "whole" / folder_name("extension"))
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in found)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-3)
    figures = [json.loads((folder / "extension.json").read_text("utf-8"))["mapped"] for folder in found]
    assert figures[0]["steps"] == figures[1]["steps"] == 4
    assert figures[0]["rows_from_step"] == figures[1]["rows_from_step"] > 0
    assert figures[0]["bits_per_byte"] == pytest.approx(figures[1]["bits_per_byte"], rel=1e-4)
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in found]
    assert names[0] == names[1]


def test_two_processes_do_not_prepare_a_training(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    recipe = str(runs.parent / "whole.toml")
    assert main(["train", recipe, "--runs", str(tmp_path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "corpus, vocabulary, base, extension must be made first" in said
    assert "ekle run RECIPE --until extension" in said
    mapped = ["--set", "extension.init=mapped"]
    assert main(["run", recipe, "--runs", str(tmp_path), *mapped]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "share extension and training alone, and corpus, vocabulary, base must be made first" in said
    assert "ekle run RECIPE --until base" in said
    assert main(["run", recipe, "--until", "base", "--runs", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
