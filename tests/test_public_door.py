"""The library: few names, all of them there, none of them slow; objects in, objects out."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any, get_args, get_type_hints

import pytest
from tiny import TURKISH
from tokenizers import Tokenizer

import ekle
from ekle import errors
from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.errors import InputError, RunFolderError, TextError, TokenizerError
from ekle.pipeline import given
from ekle.pipeline.given import Given

MERGES = [ekle.Merge(b"Z", b"Z"), ekle.Merge(b"ZZ", b"Z")]
FEW = ekle.VocabularySettings(size=12, min_count=2, languages={})
NO_LISTS = ekle.CorpusSettings(word_lists=[])


def test_the_public_functions_are_these() -> None:
    functions = [name for name in ekle.__all__ if inspect.isfunction(getattr(ekle, name))]
    assert functions == [
        "compare",
        "compare_reports",
        "count_text",
        "evaluate",
        "export",
        "extend_model",
        "extend_tokenizer",
        "learn_vocabulary",
        "load_recipe",
        "plan",
        "run",
        "train",
    ]
    assert sorted(ekle.__all__) == sorted(set(ekle.__all__))


@pytest.mark.parametrize("name", [name for name in ekle.__all__ if not name.startswith("__")])
def test_a_public_name_is_there_documented_and_typed(name: str) -> None:
    thing = getattr(ekle, name)
    is_alias = not inspect.isclass(thing) and not inspect.isfunction(thing)
    assert is_alias or inspect.getdoc(thing)
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


PUBLIC = {name: getattr(ekle, name) for name in ekle.__all__}
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
ARTIFACTS = [ekle.Vocabulary, ekle.ExtendedModel, ekle.Checkpoint, ekle.Scorecard, ekle.Release]


def classes(annotation: Any) -> set[type[Any]]:
    """Every class of ekle that an annotation names, however deep inside."""
    inside = [classes(part) for part in get_args(annotation)]
    own = {annotation} if getattr(annotation, "__module__", "").startswith("ekle.") else set()
    return own.union(*inside)


def test_what_public_functions_take_and_return_is_public() -> None:
    """Annotations in strings are resolved too, with public names only where the module lacks them."""
    methods = [
        member.fget if isinstance(member, property) else member
        for artifact in ARTIFACTS
        for name, member in vars(artifact).items()
        if not name.startswith("_") and isinstance(member, property | FunctionType)
    ]
    for function in [*FUNCTIONS.values(), *methods]:
        for annotation in get_type_hints(function, localns=PUBLIC).values():
            assert classes(annotation) <= {thing for thing in PUBLIC.values() if inspect.isclass(thing)}


def test_the_aliases_in_public_signatures_are_public() -> None:
    aliases = (given.Text, given.NamedTexts, given.TokenizerLike, given.ModelLike, given.Place)
    assert aliases == (ekle.Text, ekle.NamedTexts, ekle.TokenizerLike, ekle.ModelLike, ekle.Place)


def test_every_error_is_public() -> None:
    raised = {name for name, thing in vars(errors).items() if inspect.isclass(thing)}
    assert raised <= set(ekle.__all__)
    for function in FUNCTIONS.values():
        assert set(re.findall(r"\w+Error\b", inspect.getdoc(function) or "")) <= raised


def test_every_section_of_a_recipe_is_public() -> None:
    def sections(section: type[Any]) -> set[str]:
        inner = [field.annotation for field in section.model_fields.values()]
        kinds = [kind for kind in inner if inspect.isclass(kind) and hasattr(kind, "model_fields")]
        return {section.__name__}.union(*map(sections, kinds))

    assert sections(ekle.Recipe) <= set(ekle.__all__)


def test_the_version_is_that_of_the_package() -> None:
    assert ekle.__version__.startswith("0.")


def test_public_names_are_listed_and_others_are_refused() -> None:
    assert set(ekle.__all__) <= set(dir(ekle))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ekle.nothing  # noqa: B018


def test_importing_ekle_imports_nothing_heavy() -> None:
    program = "import sys, ekle; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "tokenizers", "pydantic", "polars", "rich", "typer"}
    assert heavy.isdisjoint(done.stdout.split())


def test_a_tokenizer_is_extended_from_a_folder_into_a_folder(tiny_base: Path, tmp_path: Path) -> None:
    folder = ekle.extend_tokenizer(str(tiny_base), MERGES, tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("ZZZ", add_special_tokens=False).ids == [411]


@pytest.mark.parametrize("kind", ["tokenizers", "transformers"])
def test_a_loaded_tokenizer_gives_a_loaded_tokenizer(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    loaded = (
        Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
        if kind == "tokenizers"
        else AutoTokenizer.from_pretrained(tiny_base)
    )
    extended = ekle.extend_tokenizer(loaded, MERGES)
    (token,) = extended.encode("ZZZ", add_special_tokens=False)
    assert token == len(extended) - 1
    there = ekle.extend_tokenizer(loaded, MERGES, tmp_path / "out")
    assert extended.get_vocab() == AutoTokenizer.from_pretrained(there).get_vocab()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "nothing temporary is left"
    if kind == "transformers":
        assert token == 411, "ids begin behind the rows of the model it was loaded from"


def test_a_list_of_strings_is_text(tiny_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n".join(TURKISH * 20), "utf-8")
    more: dict[str, Any] = {"base": tiny_base, "settings": FEW, "corpus_settings": NO_LISTS}
    texts = [text.replace("\n", " ") for text in TURKISH * 20]
    from_file = ekle.learn_vocabulary(file, tmp_path / "a", held_out={"same": file}, **more)
    from_list = ekle.learn_vocabulary(iter(texts), tmp_path / "b", held_out={"same": texts}, **more)
    assert [token.text for token in from_list.tokens()] == [token.text for token in from_file.tokens()]
    assert from_list.report["held_out"] == from_file.report["held_out"]


def test_the_name_of_a_file_in_a_list_of_strings_is_not_taken_for_text(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"give Path\('text.txt'\)"):
        ekle.learn_vocabulary(["text.txt"], tmp_path / "out")
    with pytest.raises(TextError, match="not both"):
        ekle.learn_vocabulary([tmp_path, "Evlerimizden birinde."], tmp_path / "out")
    with pytest.raises(TextError, match="not both"):
        ekle.learn_vocabulary(["Evlerimizden birinde.", "bundled:tr"], tmp_path / "out")


def test_names_of_sources_stay_what_they_are(tmp_path: Path) -> None:
    wiki, law = tmp_path / "wiki.txt", tmp_path / "law.jsonl"
    for file in (wiki, law):
        file.touch()
    with Given() as files:
        assert files.sources("bundled:tr") == ["bundled:tr"]
        assert files.sources(["hf:a/b:c", "bundled:tr", Path("x")]) == ["hf:a/b:c", "bundled:tr", "x"]
        assert files.sources([]) == []
        assert list(files.named([wiki, law], "any")) == ["wiki", "law"]
        assert list(files.named(["Bir metin."], "any")) == ["any"]


def test_what_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path) -> None:
    wrong: Any = 5
    with pytest.raises(TokenizerError, match="a int is no tokenizer"):
        ekle.extend_tokenizer(wrong, MERGES)


def test_a_loaded_model_gives_a_loaded_model(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    settings = ekle.ExtensionSettings(init="mean", gradient_tokens=4)
    loaded = AutoModelForCausalLM.from_pretrained(tiny_base)
    extended = ekle.extend_model(loaded, tiny_vocabulary, settings=settings)
    there = ekle.extend_model(tiny_base, tiny_vocabulary.folder, tmp_path / "out", settings=settings)
    same = AutoModelForCausalLM.from_pretrained(there.model).state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in extended.state_dict().items())
    assert len(extended.get_input_embeddings().weight) == 430


def test_tokenizers_of_every_kind_are_compared(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tiny_extended: ExtendedModel
) -> None:
    loaded = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    kinds = {"base": loaded, "vocabulary": tiny_vocabulary, "model": tiny_extended, "path": tiny_base}
    rows = ekle.compare(kinds, {"turkish": TURKISH})
    tokens = [row.texts["turkish"].tokens for row in rows]
    assert tokens[0] == tokens[3] > tokens[1] == tokens[2]


def test_a_loaded_model_cannot_be_measured_without_its_tokenizer(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_base)
    with pytest.raises(InputError, match="save both into one folder"):
        ekle.evaluate(model, tmp_path / "out")


def test_what_training_returns_means_its_run(tmp_path: Path) -> None:
    run = ekle.RunFolder(tmp_path / "run")
    assert given.folder_of(run.checkpoint) == given.folder_of(run) == run.folder


def test_a_checkpoint_is_compared_as_its_run(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    run = ekle.RunFolder(tmp_path / "run")
    run.write_recipe(ekle.load_recipe("quickstart"))
    run.extended.folder.symlink_to(tiny_extended.folder, target_is_directory=True)
    by_checkpoint, by_run = ekle.compare({"trained": run.checkpoint, "run": run}, {"turkish": TURKISH})
    assert by_checkpoint.texts["turkish"].tokens == by_run.texts["turkish"].tokens


@pytest.mark.parametrize("wrong", [5, None, ["runs/quickstart"]])
def test_what_is_no_folder_is_refused_in_one_line(wrong: Any, tiny_base: Path, tmp_path: Path) -> None:
    for call in (
        lambda: ekle.export(wrong, tmp_path / "out"),
        lambda: ekle.extend_model(tiny_base, wrong, tmp_path / "out", corpus=TURKISH),
        lambda: ekle.evaluate(wrong, tmp_path / "out"),
    ):
        with pytest.raises(InputError, match="is no folder that ekle wrote; give its path"):
            call()


def test_a_loaded_model_is_not_exported(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_base)
    with pytest.raises(InputError, match="is no folder that ekle wrote; give its path"):
        ekle.export(model, tmp_path / "out")


def test_reports_are_compared_however_they_are_named(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    file = tmp_path / "news.txt"
    file.write_text("\n".join(TURKISH), "utf-8")
    card = ekle.evaluate(tiny_vocabulary, tmp_path / "out", against=tiny_base, held_out=file)
    named = {"object": card, "folder": card.folder, "file": card.folder / "report.json", "read": card.report}
    compared = ekle.compare_reports(named)
    assert set(compared.figures[0].values) == set(named)
    with pytest.raises(InputError, match="nothing to be compared with"):
        ekle.compare_reports({"one": card})


def test_training_does_not_make_what_comes_before_it(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"has no 1-corpus, .* and 4-extension.* until=\"extension\""):
        ekle.train("quickstart", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_plan_is_an_object() -> None:
    plan = ekle.plan("qwen3-8b-turkish", gpu="40GB")
    assert plan.fits
    assert plan.needed < 40e9
