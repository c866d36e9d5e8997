"""The ablation of recipes runs from text to page, and explains every difference of the two recipes."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

from benchmarks.ablation.recipes import comparisons
from benchmarks.ablation.recipes.__main__ import main
from benchmarks.ablation.recipes.scaling import WIDTH, scale_recipe, training_size_named
from benchmarks.curves import Curve, Panel, ticks, write_curves
from ekle.model.layers.dora import scale_of
from ekle.planning.flops import step_cost
from ekle.planning.shapes import ModelShape
from ekle.recipe.recipe import load_recipe

SIZE = training_size_named("smoke")


@pytest.mark.slow(seconds=25)
def test_it_writes_a_page_with_curves_and_does_nothing_twice(
    plain_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(out: Path) -> list[str]:
        """The variants that were trained for both recipes."""
        words = [
            "--data",
            str(plain_text),
            "--out",
            str(out),
            "--work",
            str(tmp_path / "work"),
            "--size",
            "smoke",
        ]
        words += ["--size", "smoke", "--threads", str(torch.get_num_threads()), "--only", "recipes"]
        monkeypatch.setattr(sys, "argv", ["benchmarks.ablation.recipes", *words])
        main()
        return [line for line in capsys.readouterr().out.splitlines() if ", seed " in line]

    assert compare(tmp_path / "page.md") == [
        f"{comparisons.GUIDE}, seed 0",
        f"{comparisons.RECOMMENDED}, seed 0",
    ]
    page = (tmp_path / "page.md").read_text("utf-8")
    assert page.count(f"| {comparisons.GUIDE} |") == page.count(f"| {comparisons.RECOMMENDED} |") == 1
    assert "](page/recipes.svg)" in page
    assert ElementTree.parse(tmp_path / "page" / "recipes.svg").getroot().tag.endswith("svg")
    assert str(tmp_path) not in page
    assert compare(tmp_path / "again.md") == []
    assert (tmp_path / "again.md").read_text("utf-8") == page.replace("(page/", "(again/")


def test_every_difference_of_the_recipes_is_explained_once() -> None:
    found = comparisons.differences(load_recipe(comparisons.GUIDE), load_recipe(comparisons.RECOMMENDED))
    explained = [key for difference in comparisons.DIFFERENCES for key in difference.keys]
    assert sorted(explained) == sorted(found)


def test_all_differences_together_make_the_one_recipe_the_other() -> None:
    guide, recommended = load_recipe(comparisons.GUIDE), load_recipe(comparisons.RECOMMENDED)
    keys = tuple(key for difference in comparisons.DIFFERENCES for key in difference.keys)
    changed = comparisons.with_settings(guide, recommended, keys)
    assert changed.model_copy(update={"name": recommended.name}) == recommended


def test_a_change_from_either_end_is_that_change_alone() -> None:
    guide, recommended = (variant.recipe for variant in comparisons.both_recipes(SIZE, 32)[:2])
    for difference, into, out_of in comparisons.one_by_one(SIZE, 32):
        found = comparisons.differences(guide, into.recipe)
        # Rows without a rate of their own follow the adapters', and learning them is cut short.
        follows = ("training.rows_learning_rate", "extension.distillation.", "extension.mapped.")
        assert {key for key in found if not key.startswith(follows)} <= {*difference.keys}
        assert comparisons.differences(recommended, out_of.recipe), difference.name


def test_rank_and_rate_are_scaled_to_a_narrower_model_and_the_scale_stays() -> None:
    guide = load_recipe(comparisons.GUIDE)
    dora = scale_recipe(guide, SIZE, 64).training.dora
    assert dora.rank == 8
    assert scale_of(dora) == pytest.approx(scale_of(guide.training.dora))
    assert scale_recipe(guide, SIZE, 64).training.learning_rate == pytest.approx(3e-4 * 64)
    same = scale_recipe(guide, SIZE, WIDTH).training
    assert (same.dora.rank, same.learning_rate, same.rows_learning_rate) == (512, 3e-4, 3e-4)


@pytest.mark.parametrize("scaling", ["unchanged", "rank unchanged"])
def test_a_rate_may_stay_unchanged(scaling: str) -> None:
    training = scale_recipe(load_recipe(comparisons.GUIDE), SIZE, 64, scaling).training  # type: ignore[arg-type]
    assert training.learning_rate == training.rows_learning_rate == 3e-4
    assert training.dora.rank == (8 if scaling == "unchanged" else 512)


def test_the_cost_of_a_step_has_sophias_curvature_and_muons_iterations() -> None:
    shape = ModelShape(
        layers=2, hidden=64, heads=2, key_value_heads=1, head_dim=32, intermediate=192, rows=500, tied=False
    )
    cost = {
        optimizer: step_cost(
            shape, comparisons.with_optimizer(optimizer, 1.0, 0, SIZE, 64).recipe.training, base=500, new=20
        )
        for optimizer in ("adamw", "sophia", "muon")
    }
    # One batch of the step's two in every ten steps, and the output rows once more: a bit above a twentieth.
    assert 1.05 < cost["sophia"] / cost["adamw"] < 1.07
    assert 1 < cost["muon"] / cost["adamw"] < 1.1


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (2.41, 3.87, [2.0, 2.5, 3.0, 3.5, 4.0]),
        (0, 200, [0, 50, 100, 150, 200]),
        (2.4481, 2.4519, [2.448, 2.449, 2.45, 2.451, 2.452]),
        (1, 1, [0.5, 1.0, 1.5]),
    ],
)
def test_ticks_are_round_and_hold_everything(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high) == found


def test_a_curve_keeps_turkish_letters_and_signs_that_mean_something_to_xml(tmp_path: Path) -> None:
    panel = Panel("Kolaydan güce & <başa>", [Curve("öğrenme", [(0, 2.5), (10, 2.4)])], "adım")
    write_curves(tmp_path / "curve.svg", [panel, panel])
    words = [each.text for each in ElementTree.parse(tmp_path / "curve.svg").getroot().iter()]
    assert words.count("Kolaydan güce & <başa>") == 2
    assert words.count("öğrenme") == 2
