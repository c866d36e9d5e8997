"""The recipes that come with ekle: each is valid, and the guide's is the guide's."""

import ast
import itertools
import re
import runpy
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ekle
import ekle.recipe.recipe
from ekle.errors import InputError, RecipeError, RenamedWarning
from ekle.model.layers.dora import scale_of
from ekle.planning.shapes import shape_of
from ekle.recipe import RENAMED_KEYS, Recipe, make_recipe
from ekle.recipe.extension import DistillationSettings
from ekle.recipe.recipe import load_recipe, recipe_file, shipped_recipes
from ekle.recipe.section import Section, dotted

ROOT = Path(__file__).parents[1]
DECISION_8 = "docs/decisions/0008-hybrid-rows-that-learn-fast.md"


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_is_valid_and_named_after_its_file(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_recipes_of_the_design_are_there() -> None:
    names = {"quickstart", "qwen3-8b-turkish", "qwen3-8b-turkish-recommended"}
    names |= {f"qwen3-{size}-turkish" for size in ("0.6b", "1.7b", "4b", "14b", "32b")}
    assert names <= set(shipped_recipes())


@pytest.mark.parametrize(
    ("name", "model", "tied", "gpu", "gpus"),
    [
        ("qwen3-0.6b-turkish", "Qwen/Qwen3-0.6B", True, "16GB", 1),
        ("qwen3-1.7b-turkish", "Qwen/Qwen3-1.7B", True, "16GB", 1),
        ("qwen3-4b-turkish", "Qwen/Qwen3-4B", True, "24GB", 1),
        ("qwen3-8b-turkish", "Qwen/Qwen3-8B", False, "40GB", 1),
        ("qwen3-8b-turkish-recommended", "Qwen/Qwen3-8B", False, "40GB", 1),
        ("qwen3-14b-turkish", "Qwen/Qwen3-14B", False, "80GB", 1),
        ("qwen3-32b-turkish", "Qwen/Qwen3-32B", False, "h200", 1),
        ("qwen3-32b-turkish", "Qwen/Qwen3-32B", False, "80GB", 2),
    ],
)
def test_a_recipe_fits_the_gpu_that_it_names_as_it_stands(
    name: str, model: str, tied: bool, gpu: str, gpus: int
) -> None:
    recipe = load_recipe(name)
    assert (recipe.base.model, shape_of(recipe).tied) == (model, tied)
    plan = ekle.plan(recipe, gpu, gpus)
    assert plan.fits
    assert not plan.changes
    said = recipe_file(name).read_text("utf-8").partition("name =")[0]
    assert {"h200": "141 GB"}.get(gpu, gpu.replace("GB", " GB")) in said


def test_a_recipe_that_extends_another_differs_in_what_it_says() -> None:
    small, larger = load_recipe("qwen3-0.6b-turkish"), load_recipe("qwen3-4b-turkish")
    assert (larger.vocabulary, larger.corpus, larger.extension) == (
        small.vocabulary,
        small.corpus,
        small.extension,
    )
    same = small.training.model_copy(update={"activation_checkpointing": True})
    assert larger.training == same


def test_extends_finds_a_file_beside_it_and_merges_tables(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text('name = "first"\n[training]\nsteps = 5\nbatch_size = 2\n')
    (tmp_path / "second.toml").write_text('extends = "first.toml"\nname = "second"\n[training]\nsteps = 7\n')
    recipe = load_recipe(tmp_path / "second.toml", ["training.dora.rank=3"])
    assert (recipe.name, recipe.training.steps, recipe.training.batch_size) == ("second", 7, 2)
    assert recipe.training.dora.rank == 3
    (tmp_path / "first.toml").write_text('extends = "second.toml"\n')
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(tmp_path / "second.toml")


def test_only_the_guide_fixes_what_a_decision_about_defaults_would_change() -> None:
    """The rule for new rows and the optimiser have one owner; a recipe says them where it departs."""
    defaults = Recipe(name="defaults")
    for name in set(shipped_recipes()) - {"qwen3-8b-turkish"}:
        said = dict(dotted(tomllib.loads(recipe_file(name).read_text("utf-8"))))
        assert said.get("extension.init") != defaults.extension.init
        assert said.get("training.optimizer") != defaults.training.optimizer


@pytest.mark.parametrize(
    ("page", "pattern", "key"),
    [
        ("docs/rows.md", r"\| `(\w+)` \(default\)", "extension.init"),
        ("docs/rows.md", r"- `(\w+)` is the default", "extension.init"),
        (
            "docs/decisions/0013-shared-maps-from-the-real-base.md",
            r"^# .*`(\w+)` is the default",
            "extension.init",
        ),
        ("README.md", r"ekle, (\w+)\*\*, the default", "vocabulary.profile"),
        ("docs/glossary.md", r"default strategy, `(\w+)`", "vocabulary.strategy"),
        ("docs/training.md", r"`(\w+)`, the default \|", "training.parallel"),
    ],
)
def test_pages_say_the_defaults_that_the_recipe_has(page: str, pattern: str, key: str) -> None:
    found = re.findall(pattern, (ROOT / page).read_text("utf-8"))
    assert found, f"{page} says no default of {key} any more; take the row out here"
    assert set(found) == {dict(dotted(Recipe(name="defaults").model_dump()))[key]}


def test_a_wheel_carries_the_recipes_of_the_checkout(tmp_path: Path) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    (target,) = build["targets"]["wheel"]["force-include"].values()
    module = tmp_path / "ekle" / "recipe" / "load.py"
    for folder in (module.parent, tmp_path / target):
        folder.mkdir(parents=True)
    shutil.copy(str(ekle.recipe.recipe.__file__), module)
    (tmp_path / target / "carried.toml").touch()
    assert runpy.run_path(str(module))["shipped_recipes"]() == ["carried"]
    assert recipe_file("quickstart").parent == ROOT / "recipes"


def test_the_8b_recipe_has_the_vocabulary_of_the_guide() -> None:
    vocabulary = load_recipe("qwen3-8b-turkish").vocabulary
    assert vocabulary.size == 20_000
    assert vocabulary.strategy == "guide"
    quotas = vocabulary.quotas
    assert (quotas.words, quotas.suffixes, quotas.roots, quotas.complex, quotas.patterns) == (
        5000,
        3000,
        7000,
        3000,
        2000,
    )


def test_the_8b_recipe_has_the_training_of_the_guide() -> None:
    recipe = load_recipe("qwen3-8b-turkish")
    assert recipe.base.model == "Qwen/Qwen3-8B"
    training = recipe.training
    assert (training.batch_size, training.gradient_accumulation, training.steps) == (8, 4, 2000)
    assert training.warmup == 0.05
    assert training.precision == "bf16"
    assert training.activation_checkpointing
    assert training.checkpoint_minutes == 30
    assert training.patience > 0


def test_the_8b_recipe_has_the_dora_of_the_guide() -> None:
    dora = load_recipe("qwen3-8b-turkish").training.dora
    assert (dora.rank, dora.alpha, dora.rslora) == (512, 256, True)
    assert dora.targets == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def test_the_8b_recipe_has_the_neftune_of_the_guide() -> None:
    neftune = load_recipe("qwen3-8b-turkish").training.neftune
    assert (neftune.alpha, neftune.noise) == (15, "gaussian")


def test_the_8b_recipe_has_the_sophia_of_the_guide() -> None:
    training = load_recipe("qwen3-8b-turkish").training
    assert training.optimizer == "sophia"
    assert training.learning_rate == 3e-4
    assert training.sophia.betas == (0.965, 0.99)
    assert training.sophia.rho == 0.01
    assert training.sophia.hessian_every == 10


def test_the_recommended_8b_recipe_extends_the_same_model_on_the_same_text_for_as_long() -> None:
    guide, recommended = load_recipe("qwen3-8b-turkish"), load_recipe("qwen3-8b-turkish-recommended")
    assert (recommended.base, recommended.corpus) == (guide.base, guide.corpus)
    assert recommended.vocabulary.size == guide.vocabulary.size == 20_000
    ours, theirs = recommended.training, guide.training
    assert ours.steps * ours.batch_size * ours.gradient_accumulation * ours.sequence_length == (
        theirs.steps * theirs.batch_size * theirs.gradient_accumulation * theirs.sequence_length
    )
    assert recommended.evaluation == guide.evaluation


def test_the_recommended_8b_recipe_moves_the_model_as_an_ordinary_run_does() -> None:
    """Rate times scale times rank is how far a step moves outputs (docs/recommended.md)."""
    found = {
        name: training.learning_rate * scale_of(training.dora) * training.dora.rank
        for name in ("qwen3-0.6b-turkish", "qwen3-8b-turkish", "qwen3-8b-turkish-recommended")
        for training in [load_recipe(name).training]
    }
    assert found["qwen3-8b-turkish"] > 15 * found["qwen3-0.6b-turkish"]
    assert found["qwen3-8b-turkish-recommended"] <= found["qwen3-0.6b-turkish"]


def test_the_quickstart_needs_neither_hub_nor_data() -> None:
    recipe = load_recipe("quickstart")
    assert recipe.base.tokenizer == "qwen3"
    assert recipe.base.model == "tiny"
    assert recipe.vocabulary.size == 20_000
    sources = [*recipe.corpus.sources, *recipe.corpus.replay]
    assert all(source.startswith("bundled:") for source in sources)


def test_the_quickstart_model_has_the_shape_that_is_asked_for() -> None:
    tiny = load_recipe("quickstart").base.tiny
    assert not tiny.tied
    assert tiny.head_dim == 64
    assert tiny.steps > 0, "initialisation must act on something that has learned"


def test_a_recipe_is_found_by_name_by_path_and_outside_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("quickstart", "quickstart.toml", "recipes/quickstart.toml")
    assert {recipe_file(name) for name in names} == {recipe_file("quickstart")}


def test_a_file_of_the_users_goes_before_a_recipe_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart.toml").write_text('name = "mine"')
    assert load_recipe("quickstart.toml").name == "mine"


def test_an_unknown_recipe_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="quickstart"):
        recipe_file("slowstart")


def test_settings_on_the_command_line_have_the_last_word() -> None:
    assert load_recipe("quickstart", ["training.steps=7"]).training.steps == 7


def test_every_setting_of_the_training_has_a_line_that_says_what_it_is() -> None:
    tree = ast.parse((ROOT / "src/ekle/recipe/training.py").read_text("utf-8"))
    sections = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    names = {section.name for section in sections}
    bare = []
    for section in sections:
        for field, after in itertools.pairwise([*section.body, ast.Pass()]):
            if isinstance(field, ast.AnnAssign) and ast.unparse(field.annotation) not in names:
                said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                bare += [] if said else [f"{section.name}.{ast.unparse(field.target)}"]
    assert bare == []


def test_old_keys_are_read_under_their_new_names_and_one_line_names_them_all() -> None:
    old = {"guard": {"returns": 5, "lower": 0.1}, "steps": 7}
    with pytest.warns(RenamedWarning) as caught:
        recipe = make_recipe(
            {"name": "old", "training": old},
            ["training.guard.returns=2", "extension.similarity.twins=0.5"],
            origin="old.toml",
        )
    assert (recipe.training.guard.max_rollbacks, recipe.training.guard.rate_factor) == (2, 0.1)
    assert recipe.extension.similarity.harmony_variants == 0.5
    (line,) = (str(warning.message) for warning in caught)
    assert line.startswith("old.toml: ")
    assert all(
        word in line for word in ("guard.max_rollbacks", "guard.rate_factor", "harmony_variants", "0.3")
    )


def test_a_key_under_both_names_is_refused() -> None:
    both = {"guard": {"returns": 5, "max_rollbacks": 3}}
    with pytest.raises(RecipeError, match=r"training\.guard\.returns is the old name"):
        make_recipe({"name": "both", "training": both})


def test_settings_that_are_made_in_python_take_old_names_too() -> None:
    with pytest.warns(RenamedWarning, match="snippets is now passages"):
        settings = DistillationSettings.model_validate({"snippets": 3})
    assert settings.passages == 3


def test_renamed_keys_lead_to_keys_there_are() -> None:
    keys = dict(dotted(make_recipe({"name": "any"}).model_dump()))
    assert RENAMED_KEYS
    assert set(RENAMED_KEYS.values()) <= set(keys)
    assert not set(RENAMED_KEYS) & set(keys)


def _numbers(section: type[Section], prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting that takes a number."""
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _numbers(field.annotation, f"{prefix}{key}.")
        elif {"int", "float"} & set(re.findall(r"\w+", str(field.annotation))):
            yield f"{prefix}{key}"


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "1" + "0" * 400])
def test_no_number_of_a_recipe_is_infinite_or_none(value: str) -> None:
    keys = list(_numbers(Recipe))
    assert len(keys) > 100 and {"extension.mapped.minutes", "training.sophia.betas"} <= set(keys)
    for key in keys:
        default = dict(dotted(Recipe(name="x").model_dump(mode="json"))).get(key)
        several = {list: "[{}, {}]", dict: "{{a = {}}}"}.get(type(default), "{}").format(value, value)
        with pytest.raises(RecipeError, match=rf"{re.escape(key)}.*: "):
            make_recipe({"name": "x"}, [f"{key}={several}"])


def test_an_override_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(RecipeError, match="nested too deep"):
        make_recipe({"name": "x"}, [f"corpus.sources={'[' * 100_000}"])


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(RecipeError) as refused:
        make_recipe({"name": "x"}, [f"vocabulary.size={'x' * 10_000}"])
    assert len(str(refused.value)) < 300
