"""The benchmark on a real base, on a tiny Qwen2: every part runs, is kept, and is shown."""

import itertools
import json
import re
import shutil
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch
from project import ROOT
from safetensors.torch import load_file

from benchmarks.real.__main__ import main
from benchmarks.real.page import page_of
from benchmarks.real.parts import Parts
from benchmarks.real.probes import probes
from benchmarks.real.run import toml_lines
from benchmarks.real.sizes import ENDS, size_named
from benchmarks.real.text import passages
from benchmarks.real.workspace import weights_digest
from ekle.cli import main as ekle_main
from ekle.errors import RunFolderError
from ekle.files import read_json
from ekle.recipe import make_recipe

pytestmark = pytest.mark.xdist_group("a real base")

SIZE = size_named("tiny")


@pytest.fixture(scope="module")
def work(data: Path, bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the parts up to the rules are done."""
    folder = tmp_path_factory.mktemp("work")
    main([*words(data, bases, folder), "--only", "settle", "vocab", "rules-tied", "rules-untied"])
    return folder


def words(data: Path, bases: Path, work: Path) -> list[str]:
    named = {"data": data, "tied": bases / "tied", "untied": bases / "untied", "work": work}
    return [*(word for name, path in named.items() for word in (f"--{name}", str(path))), "--size", "tiny"]


def test_both_bases_get_the_same_settled_layers_and_keep_their_ends(work: Path, bases: Path) -> None:
    tied, untied = (load_file(work / "settled" / name / "model.safetensors") for name in ("model", "untied"))
    before = load_file(bases / "untied" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], untied[name])}
    assert changed and all("_proj.weight" in name for name in changed)
    assert all(torch.equal(tied[name], untied[name]) for name in tied)
    kept = read_json(work / "parts" / "settle.untied.json")["result"]
    assert kept["settled_weights"] == weights_digest(work / "settled" / "untied")
    assert kept["before"] != kept["after"]


@pytest.mark.parametrize("ends", ["tied", "untied"])
def test_every_rule_is_measured_with_its_seconds(work: Path, ends: str) -> None:
    results = Parts(work / "parts").results()
    found = {name: one for name, one in results.items() if name.startswith(f"rules-{ends}/")}
    assert {one.get("rule", "base") for one in found.values()} == {"base", *(r.name for r in SIZE.rules)}
    for name, one in found.items():
        assert one["turkish"] == pytest.approx(sum(one["genres"].values()) / 3, abs=1e-4)
        assert name.endswith("/base") or one["seconds"] >= 0
    assert list((work / "extended" / ends).iterdir()) == []
    assert (work / "runs" / "real" / "4-extension").is_dir()  # where the start of all trainings stays


def test_what_is_done_is_kept_and_a_removed_part_is_made_again_alike(
    work: Path, data: Path, bases: Path, tmp_path: Path
) -> None:
    again = tmp_path / "work"
    shutil.copytree(work, again)
    gone = again / "parts" / "rules-tied.mean.json"
    before = {path.name: path.read_bytes() for path in (again / "parts").iterdir()}
    gone.unlink()
    main([*words(data, bases, again), "--only", "rules-tied"])
    after = {path.name: path.read_bytes() for path in (again / "parts").iterdir()}
    assert json.loads(after.pop(gone.name))["result"] == json.loads(before.pop(gone.name))["result"]
    assert after == before


def test_a_part_of_other_inputs_is_refused_in_one_line(
    work: Path, data: Path, bases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "work"
    shutil.copytree(work / "parts", again / "parts")
    given = ["--settled-tied", str(bases / "tied"), "--only", "rules-tied"]
    with pytest.raises(SystemExit) as stopped:
        main([*words(data, bases, again), *given])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "rules-tied.base.json was made from other base" in line


def test_a_result_is_made_once_and_kept_whole(tmp_path: Path) -> None:
    parts, made = Parts(tmp_path), []

    def make() -> dict[str, int]:
        made.append(1)
        return {"value": len(made)}

    assert (
        parts.keep("a/One, two", {"n": 1}, make) == parts.keep("a/One, two", {"n": 1}, make) == {"value": 1}
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.One-two.json"]
    with pytest.raises(RunFolderError, match=r"made from other n; remove it"):
        parts.keep("a/One, two", {"n": 2}, make)
    assert parts.results().keys() == {"a/One, two"}


@pytest.fixture(scope="module")
def whole(work: Path, data: Path, bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All parts, behind those of `work`; the tiny base stands for SmolLM2."""
    folder = tmp_path_factory.mktemp("whole") / "work"
    shutil.copytree(work, folder, ignore=shutil.ignore_patterns("runs"))  # a run records where it is
    shutil.copytree(bases / "tied", folder / "smollm" / "base")
    (data / "tasks").mkdir(exist_ok=True)
    (data / "tasks" / "arc_tr.jsonl").write_text("".join(map(question, range(6))), "utf-8")
    main([*words(data, bases, folder), "--seeds", "2"])
    return folder


def question(number: int) -> str:
    """A line of a task in ARC's format."""
    choices = {"text": {"text": ["Ankara", "İzmir"]}, "label": ["A", "B"]}
    asked = {"id": str(number), "question": f"{number}. şehir hangisi?", "choices": choices, "answerKey": "A"}
    return json.dumps(asked, ensure_ascii=False) + "\n"


SLOW = pytest.mark.slow(seconds=40)


@SLOW
def test_the_run_has_the_vocabulary_of_the_rules_and_goes_on_from_its_recipe(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole / "runs" / "real"
    tokens = (whole / "vocabulary-portable" / "tokens.jsonl").read_bytes()
    assert (run / "2-vocabulary" / "tokens.jsonl").read_bytes() == tokens
    capsys.readouterr()
    assert ekle_main(["run", str(whole / "real.toml"), "--runs", str(whole / "runs"), "--control"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name} " in said for name in ("4-extension", "5-training", "5-control", "6-evaluation"))
    assert said.count(" kept ") == 8


@SLOW
def test_every_probe_changes_one_setting_and_is_measured_on_the_validation_text(whole: Path) -> None:
    assert len(probes(SIZE)) == 8 and all(len(changes) <= 3 for changes in probes(SIZE).values())
    results = Parts(whole / "parts").results()
    found = {one["probe"] for name, one in results.items() if name.startswith("probes/") and "probe" in one}
    assert found == {*probes(SIZE)}
    steps = SIZE.steps(SIZE.probe_tokens)
    assert results["probes/rows together"]["tokens"] == steps * SIZE.step_tokens
    assert results["probes/base"]["turkish"] != results["rules-tied/base"]["turkish"]
    assert not any((whole / "probes").iterdir())


@SLOW
def test_the_control_takes_the_operations_of_ours_and_both_are_measured_while_they_learn(whole: Path) -> None:
    results = Parts(whole / "parts").results()
    for seed in (0, 1):
        one = results[f"winner/seed {seed}"]
        ours, control = one["about"]["ours"], one["about"]["control"]
        assert ours["flops_of_extension"] > 0
        assert control["flops"] == pytest.approx(ours["flops"], rel=0.5 / control["steps"])
        assert one["curves"]["ours"][-1]["flops"] == pytest.approx(ours["flops"])
        assert one["base"] == {key: results["rules-tied/base"][key] for key in one["base"]}
        assert one["compared"]["bytes"]["end"] == one["curves"]["ours"][-1]["text_bytes"]
    first, second = (results[f"winner/seed {seed}"]["ours"]["turkish"] for seed in (0, 1))
    assert first != second


@SLOW
def test_profiles_texts_report_and_smollm_are_there(whole: Path) -> None:
    results = Parts(whole / "parts").results()
    for profile in ("portable", "compact", "morphological"):
        assert results[f"profiles/{profile}"]["turkish"] > 0
    texts = results["texts"]["texts"]
    assert list(texts) == ["settled base", "extended, not trained", "extended, trained", "control"]
    assert all(len(by_prompt) == 5 for by_prompt in texts.values())
    report = results["report"]
    assert {"control", "divergence", "generated", "tasks", "likelihood"} <= {*report["sections"]}
    assert str(whole) not in json.dumps(report) and make_recipe(tomllib.loads(report["recipe"]))
    assert results["smollm"]["models"].keys() == {"base", "subword", "hybrid"}


@SLOW
def test_the_page_of_everything_has_every_section_and_curves(whole: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    main(["--work", str(whole), "--size", "tiny", "--write", str(page)])
    text = page.read_text("utf-8")
    assert text == page_of(read_json(page.with_suffix(".json")), "page.svg")
    assert len([line for line in text.splitlines() if line.startswith("## ")]) == 10
    assert "](page.svg)" in text
    assert ElementTree.parse(page.with_suffix(".svg")).getroot().tag.endswith("svg")
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert all(len(line) <= 110 for line in outside.splitlines() if not line.startswith("|"))


@SLOW
def test_an_interrupted_winner_goes_on_with_what_is_made(whole: Path, data: Path, bases: Path) -> None:
    run, kept = whole / "runs" / "real", whole / "parts" / "winner.seed-0.json"
    before, trained = read_json(kept)["result"], (run / "5-training" / "training.json").stat().st_mtime_ns
    kept.unlink()
    shutil.rmtree(run / "5-control")
    main([*words(data, bases, whole), "--only", "winner", "--seeds", "2"])
    after = read_json(kept)["result"]
    assert all(after[key] == before[key] for key in ("base", "start", "ours", "control", "curves"))
    assert (run / "5-training" / "training.json").stat().st_mtime_ns == trained
    assert (run / "5-control" / "manifest.json").exists()


def test_a_refused_smollm_is_kept_as_its_line(data: Path, bases: Path, work: Path, tmp_path: Path) -> None:
    again = tmp_path / "work"
    shutil.copytree(work, again)
    (again / "smollm" / "base").mkdir(parents=True)
    main([*words(data, bases, again), "--only", "smollm"])
    refused = read_json(again / "parts" / "smollm.json")["result"]["refused"]
    assert "\n" not in refused and str(again) not in refused
    page = tmp_path / "page.md"
    main(["--work", str(again), "--size", "tiny", "--write", str(page)])
    assert "SmolLM2-135M is refused: " in page.read_text("utf-8")


def test_texts_need_the_winner(
    data: Path, bases: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "work"
    shutil.copytree(work, again)
    with pytest.raises(SystemExit):
        main([*words(data, bases, again), "--only", "texts"])
    assert "make the part winner first" in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / "docs" / "real.json").exists(), reason="no results are committed")
def test_the_committed_page_is_that_of_the_committed_results() -> None:
    docs = ROOT / "docs"
    assert (docs / "real.md").read_text("utf-8") == page_of(read_json(docs / "real.json"))


def test_readme_has_the_figures_of_the_committed_results() -> None:
    parts = read_json(ROOT / "docs" / "real.json")["parts"]
    readme = (ROOT / "README.md").read_text("utf-8")
    for label, rule in (("the closed form alone", "mapped, 0 minutes"), ("30 minutes", "mapped, 30 minutes")):
        cells: list[str] = []
        for ends in ENDS:
            found, base = parts.get(f"rules-{ends}/{rule}"), parts[f"rules-{ends}/base"]
            ratios = [f"{found[text] / base[text]:.3f}" for text in ("turkish", "english")] if found else None
            cells += ratios or ["not measured yet", ""]
        assert f"| {label} | {' | '.join(cells).rstrip()} |" in readme


def test_a_recipe_is_written_as_toml() -> None:
    content = {
        "name": "x",
        "section": {"long": ["ş" * 40, "b" * 80], "on": True, "rate": 4e-4, "inner": {"n": 1}},
    }
    written = "\n".join(toml_lines(content))
    assert tomllib.loads(written) == content


def test_passages_are_consecutive_lines_of_enough_bytes() -> None:
    assert list(passages(["ab", "ç", "", "abcdef", "x"], 5)) == ["ab\nç", "abcdef"]


def test_no_english_line_is_learned_and_measured() -> None:
    for name in ("cpu", "gpu", "tiny"):
        ranges = size_named(name).ranges
        english = [ranges.settle_english, ranges.replay, ranges.validation_english, ranges.test_english]
        spans = sorted((lines.first, lines.stop or 10**9) for lines in english)
        assert all(stop <= first for (_, stop), (first, _) in itertools.pairwise(spans))
        for genre, lines in ranges.validation.items():
            assert lines.stop == ranges.test[genre].first


def test_the_page_is_written_from_the_results_alone(work: Path, tmp_path: Path) -> None:
    page = tmp_path / "real.md"
    main(["--work", str(work), "--size", "tiny", "--write", str(page)])
    record = read_json(page.with_suffix(".json"))
    assert page.read_text("utf-8") == page_of(record)
    text = page.read_text("utf-8")
    assert str(work) not in text + page.with_suffix(".json").read_text("utf-8")
    assert all(text.count(f"\n| {rule.name} |") == 2 for rule in SIZE.rules)
    assert "queries and keys have no norms" in " ".join(text.split())
    assert text.count("no norms of queries and keys") == 2


def test_targets_say_what_was_reached(work: Path, tmp_path: Path) -> None:
    page = tmp_path / "real.md"
    main(["--work", str(work), "--size", "tiny", "--write", str(page)])
    record = read_json(page.with_suffix(".json"))
    assert "## Targets" not in page_of(record), "none of the tiny rules has one"
    base = record["parts"]["rules-tied/base"]
    found = {**base, "turkish": 1.07 * base["turkish"], "english": 1.01 * base["english"]}
    record["parts"]["rules-tied/mapped, 30 minutes"] = {**found, "rule": "mapped, 30 minutes"}
    lines = page_of(record).splitlines()
    assert "| mapped, 30 minutes, tied: Turkish, over the base | 1.080 | 1.070 | yes |" in lines
    assert "| mapped, 30 minutes, tied: English, over the base | 1.005 | 1.010 | no |" in lines


def test_a_rule_or_probe_can_be_made_alone_and_is_refused_by_a_wrong_name(
    data: Path, bases: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "work"
    shutil.copytree(work, again, ignore=shutil.ignore_patterns("runs", "rules-*"))
    main([*words(data, bases, again), "--only", "rules-untied", "--rules", "subword"])
    kept = {path.name for path in (again / "parts").glob("rules-*")}
    assert kept == {"rules-untied.base.json", "rules-untied.subword.json"}
    for part, option in (("rules-tied", "--rules"), ("probes", "--probes")):
        with pytest.raises(SystemExit):
            main([*words(data, bases, again), "--only", part, option, "subwrod"])
        assert "there is no " in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--data", "--tied"])
def test_what_is_missing_is_named(
    data: Path, bases: Path, tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(data, bases, tmp_path)
    place = given.index(missing)
    with pytest.raises(SystemExit) as stopped:
        main(given[:place] + given[place + 2 :])
    assert stopped.value.code == 2
    assert "give --data and --tied" in capsys.readouterr().err
