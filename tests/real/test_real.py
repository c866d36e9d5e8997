"""The benchmark on a real base, on a tiny Qwen2: every part runs, is kept, and is shown."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.real.__main__ import main
from benchmarks.real.page import page_of
from benchmarks.real.parts import Parts
from benchmarks.real.sizes import size_named
from benchmarks.real.text import passages
from benchmarks.real.workspace import weights_digest
from ekle.errors import RunFolderError
from ekle.files import read_json

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
    kept = sorted(path.name for path in (work / "extended" / ends).iterdir())
    assert len(kept) == (ends == "tied")


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
