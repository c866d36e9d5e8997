"""The stage as a whole, on the tiny world: every figure that is promised, and none that is made up."""

import json
import math
import os

import pytest

from ekle.artifacts import Corpus
from ekle.errors import CheckpointError
from ekle.evaluation import evaluated_models
from ekle.evaluation.model import measure as measuring
from ekle.evaluation.stage import Inputs, run
from ekle.progress import silent


def forget_speed(figures):
    """Leave out how fast the models were, and what follows from that."""
    del figures["inference"]["prefill"], figures["inference"]["generation"]
    del figures["criteria"], figures["verdict"]


@pytest.mark.parametrize("tied", [False, True])
def test_everything_promised_is_measured(evaluated):
    figures = evaluated.report.dump()
    assert set(figures) == {
        "format", "title", "ekle", "settings", "texts", "models", "vocabulary", "tokens", "morphology",
        "drift", "contamination", "likelihood", "divergence", "generation", "generated", "inference",
        "criteria", "training", "verdict", "provenance",
    }  # fmt: skip
    assert set(figures["tokens"]["by_text"]) == {"prose", "street"}
    assert set(figures["drift"]) == {"english"}
    assert set(figures["divergence"]) == {"extended", "trained"}
    assert set(figures["generated"]) == {"base", "extended", "trained", "held_out"}
    assert figures["inference"]["models"] == ["base", "trained"]
    for model in ("base", "extended", "trained"):
        assert set(figures["likelihood"][model]) == {"all_held_out", "prose", "street", "english"}
        assert [sample["prompt"] for sample in figures["generation"][model]] == ["Ağaçların altında", "Deniz"]
    assert "change" not in figures["likelihood"]["base"]["prose"]
    assert "change" in figures["likelihood"]["trained"]["prose"]
    assert figures["models"]["base"]["row_parameters"] < figures["models"]["base"]["parameters"]


def test_figures_agree_with_each_other(evaluated, tiny_corpus):
    figures = evaluated.report.dump()
    together, parts = figures["tokens"]["all_held_out"], figures["tokens"]["by_text"].values()
    for key in ("base", "extended"):
        assert together[key]["tokens"] == sum(part[key]["tokens"] for part in parts)
    assert together["saved"]["value"] == pytest.approx(
        1 - together["extended"]["tokens"] / together["base"]["tokens"]
    )
    assert together["saved"]["value"] > 0.02  # the new tokens were learned from text like this
    # The likelihood is over the same text: the tokens that were counted are the tokens that were read.
    for key in ("base", "extended"):
        own = figures["likelihood"][key]["all_held_out"]
        assert (own["tokens"], own["bytes"]) == (together[key]["tokens"], together["bytes"])
        bits = own["loss_per_token"] * own["tokens"] / own["bytes"] / math.log(2)
        assert own["bits_per_byte"]["value"] == pytest.approx(bits)


def test_the_checkpoint_makes_the_trained_model_another_one(evaluated):
    likelihood = evaluated.report.dump()["likelihood"]
    before, after = (
        likelihood[key]["all_held_out"]["bits_per_byte"]["value"] for key in ("extended", "trained")
    )
    assert abs(before - after) > 1e-3
    tokens = [likelihood[key]["all_held_out"]["tokens"] for key in ("extended", "trained")]
    assert tokens[0] == tokens[1]


def test_what_was_not_measured_is_absent(recipe, inputs, tiny_corpus, tmp_path):
    folder, bare = tmp_path / "6-evaluation", tmp_path / "bare"
    folder.mkdir()
    (bare / "other").mkdir(parents=True)
    (bare / "other" / "english.jsonl").write_bytes(tiny_corpus.other["english"].read_bytes())
    settings = recipe.evaluation.model_copy(update={"prompts": []})
    recipe = recipe.model_copy(update={"evaluation": settings})
    changed = Inputs(Corpus(bare), inputs.vocabulary, inputs.base, inputs.extended, inputs.checkpoint)
    figures = run(recipe, changed, folder, silent()).report.dump()
    assert "tokens" not in figures and "generation" not in figures
    assert set(figures["likelihood"]["trained"]) == {"english"}
    assert "No Turkish text" in (folder / "report.html").read_text("utf-8")


def test_two_runs_give_the_same_figures(recipe, inputs, evaluated, tmp_path):
    (tmp_path / "again").mkdir()
    first, second = evaluated.report.dump(), run(recipe, inputs, tmp_path / "again", silent()).report.dump()
    for figures in (first, second):
        del figures["tokens"]["speed"], figures["tokens"]["decoding"]
        forget_speed(figures)
    assert first == second


def test_an_interrupted_evaluation_goes_on_where_it_stopped(recipe, inputs, evaluated, monkeypatch):
    for name in ("report.json", "report.html", "parts/generation-trained.json"):
        (evaluated.folder / name).unlink()
    loaded = []
    original = evaluated_models.EvaluatedModel.loaded.func

    def spy(subject):
        loaded.append(subject.name)
        return original(subject)

    monkeypatch.setattr(evaluated_models.EvaluatedModel, "loaded", property(spy))
    run(recipe, inputs, evaluated.folder, silent())
    assert set(loaded) == {"trained"}
    assert (evaluated.folder / "report.json").exists()


def test_whichever_part_is_missing_it_alone_is_measured_again(recipe, inputs, evaluated):
    before = evaluated.report.dump()
    names = ("divergence-extended", "samples-trained", "judged", "speeds", "contamination", "morphology")
    for name in names:
        (evaluated.folder / "parts" / f"{name}.json").unlink()
    kept = {path.name: path.stat().st_mtime_ns for path in (evaluated.folder / "parts").iterdir()}
    after = run(recipe, inputs, evaluated.folder, silent()).report.dump()
    for figures in (before, after):
        forget_speed(figures)
    assert after == before
    assert all((evaluated.folder / "parts" / name).stat().st_mtime_ns == time for name, time in kept.items())


def test_what_was_measured_before_an_interruption_is_kept(recipe, inputs, tmp_path, monkeypatch):
    def interrupted(model, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "generate_sampled", interrupted)
    (tmp_path / "6-evaluation").mkdir()
    with pytest.raises(KeyboardInterrupt):
        run(recipe, inputs, tmp_path / "6-evaluation", silent())
    kept = {path.stem for path in (tmp_path / "6-evaluation" / "parts").iterdir()}
    assert {"tokens", "morphology", "contamination", "likelihood-base", "generation-base"} <= kept
    assert not (tmp_path / "6-evaluation" / "report.json").exists()


def test_parts_of_other_settings_or_inputs_are_measured_again(recipe, inputs, evaluated, tmp_path):
    part = evaluated.folder / "parts" / "likelihood-base.json"
    before = json.loads(part.read_text("utf-8"))["stamp"]
    settings = recipe.evaluation.model_copy(update={"context": 16})
    run(recipe.model_copy(update={"evaluation": settings}), inputs, evaluated.folder, silent())
    changed = json.loads(part.read_text("utf-8"))["stamp"]
    assert changed != before
    rows = inputs.checkpoint.rows
    times = rows.stat().st_atime_ns, rows.stat().st_mtime_ns
    rows.touch()
    run(recipe, inputs, evaluated.folder, silent())
    os.utime(rows, ns=times)  # others use them, too
    assert json.loads(part.read_text("utf-8"))["stamp"] not in (before, changed)


def test_a_part_that_is_damaged_or_of_another_form_is_measured_again(recipe, inputs, evaluated):
    expected, parts = evaluated.report, evaluated.folder / "parts"
    (parts / "tokens.json").write_text("{", "utf-8")
    divergence = parts / "divergence-trained.json"
    kept = json.loads(divergence.read_text("utf-8"))
    kept["figures"]["english"]["places"] = kept["figures"]["english"].pop("positions")
    divergence.write_text(json.dumps(kept), "utf-8")
    found = run(recipe, inputs, evaluated.folder, silent()).report
    assert found.tokens.all_held_out == expected.tokens.all_held_out
    assert found.divergence == expected.divergence


def test_a_damaged_model_is_one_clear_error(recipe, inputs, tiny_base, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_base.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes((tiny_base / "model.safetensors").read_bytes()[:5000])
    (tmp_path / "base.json").write_text(json.dumps({"model": str(broken)}), "utf-8")
    damaged = type(inputs.base)(tmp_path, "broken")
    changed = Inputs(inputs.corpus, inputs.vocabulary, damaged, inputs.extended, inputs.checkpoint)
    (tmp_path / "6-evaluation").mkdir()
    with pytest.raises(CheckpointError, match="broken"):
        run(recipe, changed, tmp_path / "6-evaluation", silent())
    assert not (tmp_path / "6-evaluation" / "report.json").exists()
