"""The manifest of a stage."""

from pathlib import Path

import pytest

from ekle.errors import RenamedWarning, RunFolderError
from ekle.pipeline.manifest import Manifest, flat_settings, input_files, read_manifest, write_manifest
from ekle.recipe import RENAMED_KEYS, make_recipe


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "rows").write_bytes(b"1234")
    written = write_manifest(tmp_path, "extension", {"extension.init": "mean"}, {"3-base": "ab"}, 1.5)
    assert read_manifest(tmp_path) == written
    assert written.outputs["inner/rows"]["bytes"] == 4
    assert set(written.versions) == {"python", "ekle", "torch", "transformers", "tokenizers"}


def test_the_fingerprint_follows_the_outputs_and_not_the_time(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"1234")
    first = write_manifest(tmp_path, "extension", {}, {}, 1.5)
    assert write_manifest(tmp_path, "extension", {}, {}, 99.0).fingerprint == first.fingerprint
    (tmp_path / "rows").write_bytes(b"1235")
    assert write_manifest(tmp_path, "extension", {}, {}, 1.5).fingerprint != first.fingerprint


def test_a_damaged_output_is_found(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"1234")
    manifest = write_manifest(tmp_path, "extension", {}, {}, 1.5)
    assert manifest.damage(tmp_path) == []
    (tmp_path / "rows").write_bytes(b"12")
    assert manifest.damage(tmp_path) == ["rows"]


@pytest.mark.parametrize("scratch", ["checkpoints/step-000010", "aligned", "curriculum/0", "tensorboard"])
def test_what_a_stage_keeps_to_go_on_from_is_no_output(tmp_path: Path, scratch: str) -> None:
    (tmp_path / scratch).mkdir(parents=True)
    (tmp_path / scratch / "file").write_bytes(b"1234")
    (tmp_path / "rows").write_bytes(b"1234")
    assert list(write_manifest(tmp_path, "training", {}, {}, 1.5).outputs) == ["rows"]


def test_a_file_added_to_a_folder_is_a_difference(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, "corpus", {}, {"corpus.sources: texts/a.txt": "aa"}, 1.5)
    more = {"corpus.sources: texts/a.txt": "aa", "corpus.sources: texts/b.txt": "bb"}
    assert manifest.differences({}, more) == ["corpus.sources: texts/b.txt was not there before"]
    assert manifest.differences({}, {}) == ["corpus.sources: texts/a.txt is gone"]


def test_a_manifest_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stage": "corpus"}')
    with pytest.raises(RunFolderError, match="not written by this version"):
        read_manifest(tmp_path)


def test_a_manifest_with_keys_of_an_older_ekle_is_kept(tmp_path: Path) -> None:
    recipe = make_recipe({"name": "probe"})
    settings = flat_settings(recipe, ("training",))
    old = {new: old for old, new in RENAMED_KEYS.items()}
    written = {old.get(key, key): value for key, value in settings.items()}
    assert "training.guard.returns" in written
    run = tmp_path / "run"
    for stage in ("4-extension", "5-training"):
        (run / stage).mkdir(parents=True)
        write_manifest(run / stage, "training", written, {}, 1.5)
    with pytest.warns(RenamedWarning) as said:
        manifest, _ = read_manifest(run / "5-training"), read_manifest(run / "4-extension")
    (line,) = [str(warning.message) for warning in said]
    assert line.startswith(f"{run}: ekle 0.1 wrote it") and "ekle 0.3 drops the old names" in line
    assert manifest is not None
    assert manifest.differences(settings, {}) == []
    changed = settings | {"training.guard.max_rollbacks": 9}
    assert manifest.differences(changed, {}) == ["training.guard.max_rollbacks 3 -> 9"]


def test_settings_are_flat_and_only_those_asked_for() -> None:
    recipe = make_recipe({"name": "probe", "training": {"sophia": {"rho": 0.01}}})
    settings = flat_settings(recipe, ("seed", "training"))
    assert settings["seed"] == 0
    assert settings["training.sophia.rho"] == 0.01
    assert settings["training.sophia.betas"] == [0.965, 0.99]
    assert not any(key.startswith(("corpus", "base")) for key in settings)


def test_a_setting_from_after_a_stage_was_made_had_its_default() -> None:
    manifest = Manifest("training", {"training.steps": 3}, {}, {}, {}, 0.0, "")
    assert manifest.differences({"training.steps": 3, "training.shared_rows": False}, {}) == []
    changed = manifest.differences({"training.steps": 3, "training.shared_rows": True}, {})
    assert changed == ["training.shared_rows False -> True"]


def test_files_of_one_name_in_two_folders_are_two_inputs(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "texts" / folder).mkdir(parents=True)
        (tmp_path / "texts" / folder / "news.txt").write_text(f"metin {folder}\n", "utf-8")
    corpus = {"sources": [str(tmp_path / "texts"), "bundled:tr"], "replay": []}
    found = input_files("corpus", make_recipe({"name": "probe", "corpus": corpus}))
    own = {name.removeprefix("corpus.sources: "): path for name, path in found.items()}
    for folder in ("a", "b"):
        assert own[f"{tmp_path}/texts/{folder}/news.txt"] == tmp_path / "texts" / folder / "news.txt"
    assert all(name.startswith(("bundled:tr/tr_", str(tmp_path))) for name in own)
