"""A damaged or unfit base ends `ekle extend` with code 2 and one line, and nothing is left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ekle.artifacts import Vocabulary
from ekle.cli import main
from ekle.files import read_json, write_json
from ekle.model.checkpoint import weights as weights_module
from ekle.recipe.extension import ExtensionSettings

INPUT, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

OUTPUT_BY_FOCUS = ("--set", "extension.output=focus")

Damage = Callable[[Path], None]
Refused = Callable[..., None]


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A base that a test may damage."""
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


@pytest.fixture
def extend(base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of an `ekle extend`."""

    def words(*more: str, vocabulary: Path = tiny_vocabulary.folder, model: Path | str = base) -> list[str]:
        given = ["--vocab", str(vocabulary), "--base", str(model), "--out", str(tmp_path / "out")]
        rule = [] if "--init" in more else ["--init", "hybrid"]  # which needs no text
        return ["extend", *given, *rule, *more]

    return words


def edited(base: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(base / SINGLE)
    change(tensors)
    save_file(tensors, base / SINGLE, metadata={"format": "pt"})


def in_two(base: Path) -> None:
    """The weights in two shards with an index."""
    tensors = load_file(base / SINGLE)
    names = sorted(tensors)
    files = {name: f"model-0000{1 + (at > 3)}-of-00002.safetensors" for at, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in names if files[name] == file}, base / file)
    (base / SINGLE).unlink()
    write_json(base / INDEX, {"metadata": {}, "weight_map": files})


def missing_shard(base: Path) -> None:
    in_two(base)
    (base / "model-00002-of-00002.safetensors").unlink()


def truncated_shard(base: Path) -> None:
    in_two(base)
    whole = (base / "model-00002-of-00002.safetensors").read_bytes()
    (base / "model-00002-of-00002.safetensors").write_bytes(whole[:-100])


def empty_shard(base: Path) -> None:
    (base / SINGLE).write_bytes(b"")


def shard_without_its_tensor(base: Path) -> None:
    in_two(base)
    index = read_json(base / INDEX)
    index["weight_map"]["model.ghost.weight"] = "model-00001-of-00002.safetensors"
    write_json(base / INDEX, index)


def shard_outside(base: Path) -> None:
    in_two(base)
    index = read_json(base / INDEX)
    index["weight_map"][INPUT] = "../elsewhere.safetensors"
    write_json(base / INDEX, index)


def nan_row(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[INPUT][123, 4] = float("nan")

    edited(base, change)


def infinite_output_row(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[OUTPUT][9, 0] = float("inf")

    edited(base, change)


def fewer_rows(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({name: tensors[name][:400].clone() for name in (INPUT, OUTPUT)})

    edited(base, change)


def quantised_by_config(base: Path) -> None:
    config = read_json(base / "config.json")
    write_json(base / "config.json", {**config, "quantization_config": {"quant_method": "gptq"}})


def loaded_from_gguf(base: Path) -> None:
    config = read_json(base / "config.json")
    write_json(base / "config.json", {**config, "quantization_config": {"quant_method": "gguf"}})


def quantised_to_int8(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int8)

    edited(base, change)


def quantised_to_fp8(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.float8_e4m3fn)

    edited(base, change)


def quantised_and_packed(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.0.mlp.up_proj.weight_packed"] = torch.zeros(4, dtype=torch.int32)

    edited(base, change)


def quantised_by_name(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.0.mlp.up_proj.qweight"] = torch.zeros(4)

    edited(base, change)


def pickled(base: Path) -> None:
    (base / SINGLE).rename(base / "pytorch_model.bin")


def without_weights(base: Path) -> None:
    (base / SINGLE).unlink()


def without_config(base: Path) -> None:
    (base / "config.json").unlink()


def config_cut_short(base: Path) -> None:
    text = (base / "config.json").read_text("utf-8")
    (base / "config.json").write_text(text[: len(text) // 2], "utf-8")


def unknown_model(base: Path) -> None:
    write_json(base / "config.json", {**read_json(base / "config.json"), "model_type": "abacus"})


def untied_without_head(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[OUTPUT]

    edited(base, change)


def tied_with_another_head(base: Path) -> None:
    write_json(base / "config.json", {**read_json(base / "config.json"), "tie_word_embeddings": True})


def head_with_a_bias(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["lm_head.bias"] = torch.zeros(410)

    edited(base, change)


def a_late_tensor_missing(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.layers.1.mlp.down_proj.weight"]

    edited(base, change)


def another_shape(base: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.1.mlp.down_proj.weight"] = torch.zeros(32, 63)

    edited(base, change)


def shards_without_index(base: Path) -> None:
    in_two(base)
    (base / INDEX).unlink()


def sizes_that_make_no_sense(base: Path) -> None:
    write_json(base / "config.json", {**read_json(base / "config.json"), "hidden_act": "abacus"})


def two_vocab_sizes(base: Path) -> None:
    write_json(base / "config.json", {**read_json(base / "config.json"), "draft": {"vocab_size": 9}})


def other_ids(base: Path) -> None:
    spec = read_json(base / "tokenizer.json")
    vocab = spec["model"]["vocab"]
    first, second = list(vocab)[300:302]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (base / "tokenizer.json").write_text(json.dumps(spec), "utf-8")


DAMAGES: list[tuple[Damage, str]] = [
    (missing_shard, "model-00002-of-00002.safetensors is missing"),
    (truncated_shard, "damaged or cut short"),
    (empty_shard, "damaged or cut short"),
    (shard_without_its_tensor, "lacks model.ghost.weight"),
    (shard_outside, "outside the model folder"),
    (nan_row, f"row 123 of {INPUT} is not finite"),
    (infinite_output_row, f"row 9 of {OUTPUT} is not finite"),
    (fewer_rows, "400 rows"),
    (loaded_from_gguf, "GgufConfig(dequantize=True)"),
    (quantised_by_config, "quantised weights (gptq); take the model that it was made from"),
    (quantised_to_int8, "quantised weights; take the model that it was made from"),
    (quantised_to_fp8, "quantised weights; take the model that it was made from"),
    (quantised_and_packed, "quantised weights; take the model that it was made from"),
    (quantised_by_name, "; take the model that it was made from"),
    (pickled, "only pickles"),
    (without_weights, "no safetensors"),
    (without_config, "config.json is missing"),
    (config_cut_short, "not valid JSON"),
    (unknown_model, "abacus"),
    (untied_without_head, "set tie_word_embeddings to true there if"),
    (tied_with_another_head, "set tie_word_embeddings to false there"),
    (head_with_a_bias, "lm_head.bias"),
    (a_late_tensor_missing, "lacks model.layers.1.mlp.down_proj.weight, which its config.json asks for"),
    (
        another_shape,
        "model.layers.1.mlp.down_proj.weight in the shape [32, 63], its config.json asks for [32, 64]",
    ),
    (shards_without_index, f"neither {SINGLE} nor {INDEX}"),
    (sizes_that_make_no_sense, "describes no model that can be built"),
    (two_vocab_sizes, "no single vocab_size"),
    (other_ids, "learn the vocabulary with ekle vocab --base"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
@pytest.mark.parametrize("method", ["subword", "distilled"])
def test_a_base_that_cannot_be_extended_is_refused(
    damage: Damage,
    words: str,
    method: str,
    base: Path,
    extend: Callable[..., list[str]],
    tmp_path: Path,
    refused: Refused,
) -> None:
    damage(base)
    refused(extend("--init", method, "--corpus", "bundled:tr"), words)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_code_that_comes_with_a_model_is_not_run_even_if_the_user_would(
    base: Path, extend: Callable[..., list[str]], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (base / "abacus.py").write_text(f"open({str(base / 'ran')!r}, 'w')", "utf-8")
    own = {"model_type": "abacus", "auto_map": {"AutoConfig": "abacus.Config"}}
    write_json(base / "config.json", {**read_json(base / "config.json"), **own})
    refused(extend(), "it needs Python code that comes with it, and ekle runs none")
    assert not (base / "ran").exists()


def test_the_default_rule_needs_text_and_says_what_else_there_is(
    base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, refused: Refused
) -> None:
    words = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(base)]
    refused([*words, "--out", str(tmp_path / "out")], "--corpus FILE", "--init subword")
    assert not (tmp_path / "out").exists()
    given = ["--corpus", "bundled:tr", "--set", "extension.mapped.tokens=512"]
    assert main([*words, *given, "--out", str(tmp_path / "out")]) == 0
    about = read_json(tmp_path / "out" / "extension.json")
    assert about["init"] == ExtensionSettings().init
    assert about["mapped"]["tokens"] >= 512


def test_what_is_asked_for_must_exist(
    extend: Callable[..., list[str]], tmp_path: Path, refused: Refused
) -> None:
    refused(extend("--init", "magic"), "--init", "distilled")
    refused(extend("--init", "focus"), "--corpus")
    refused(extend("--init", "distilled"), "--corpus")
    refused(extend("--init", "hybrid", "--set", "extension.output=focus"), "the rule focus", "--corpus")
    refused(extend("--set", "extension.output=distilled"), "extension.output")
    refused(extend("--init", "focus", "--corpus", "nowhere.txt"), "nowhere.txt")
    refused(extend(vocabulary=tmp_path / "nowhere"), "nowhere", "ekle vocab")
    refused(extend(model="nowhere"), "there is no model folder nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize("rule", [("--init", "focus"), ("--init", "distilled"), OUTPUT_BY_FOCUS])
def test_text_without_a_new_token_teaches_no_rule(
    rule: tuple[str, str],
    extend: Callable[..., list[str]],
    tmp_path: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found out before the model is loaded."""

    def load(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("ekle.extension.initialise.load_teacher", load)
    (tmp_path / "numbers.txt").write_text("1 2 3 4 5\n" * 20, "utf-8")
    wanted = extend(*rule, "--corpus", str(tmp_path / "numbers.txt"))
    other = "--set extension.output=subword" if rule == OUTPUT_BY_FOCUS else "--init subword"
    refused(wanted, "no new token occurs in the 180 bytes of text that the rule reads", other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "numbers.txt"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_tokens": []}, "names no base tokens; learn the vocabulary again"),
        ({"base_tokens": None}, "names no base tokens; learn the vocabulary again"),
        ({"base_tokens": [3, 410]}, "names the base token 410, which the base does not have"),
        ({"base_tokens": [-1]}, "names the base token -1, which the base does not have"),
        ({"base_tokens": [405]}, "names the base token 405, which the base does not have"),
        ({"base_tokens": ["ev"]}, "names the base token ev, which the base does not have"),
        (None, "is damaged: a token missing 1 required positional argument: 'base_tokens'"),
    ],
    ids=["empty", "null", "a new one", "below 0", "of the hole", "text", "missing"],
)
def test_a_token_without_its_base_tokens_is_refused(
    change: dict[str, object] | None,
    words: str,
    extend: Callable[..., list[str]],
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    refused: Refused,
) -> None:
    folder = Path(shutil.copytree(tiny_vocabulary.folder, tmp_path / "vocabulary"))
    first, *others = (folder / "tokens.jsonl").read_text("utf-8").splitlines()
    token = json.loads(first)
    if change is None:
        del token["base_tokens"]
    else:
        token |= change
    (folder / "tokens.jsonl").write_text("\n".join([json.dumps(token), *others]) + "\n", "utf-8")
    refused(extend(vocabulary=folder), "tokens.jsonl", words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "vocabulary"]


def test_a_list_of_tokens_that_is_cut_short_is_refused(
    extend: Callable[..., list[str]], tiny_vocabulary: Vocabulary, tmp_path: Path, refused: Refused
) -> None:
    folder = Path(shutil.copytree(tiny_vocabulary.folder, tmp_path / "vocabulary"))
    whole = (folder / "tokens.jsonl").read_text("utf-8")
    (folder / "tokens.jsonl").write_text(whole[:-30], "utf-8")
    refused(extend(vocabulary=folder), "tokens.jsonl is damaged in line 20; learn the vocabulary again")


@pytest.mark.parametrize("key", ["minutes", "tokens", "passes", "passages", "save_minutes", "learning_rate"])
@pytest.mark.parametrize("value", ["0", "-3", "nan"])
def test_a_budget_of_nothing_is_refused_with_its_key_and_range(
    key: str, value: str, extend: Callable[..., list[str]], refused: Refused
) -> None:
    setting = f"extension.distillation.{key}={value}"
    reason = "finite number" if value == "nan" else "it must be greater than 0"
    wanted = extend("--init", "distilled", "--corpus", "bundled:tr", "--set", setting)
    refused(wanted, f"extension.distillation.{key}: ", reason)


def test_an_output_folder_in_use_is_left_alone(
    extend: Callable[..., list[str]], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine", "utf-8")
    refused(extend(), "not empty")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_disk_without_room_is_refused_before_anything_is_written(
    extend: Callable[..., list[str]], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(weights_module.shutil, "disk_usage", lambda _: usage)
    refused(extend(), "GB free")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_disk_that_fails_while_writing_leaves_nothing(
    base: Path,
    extend: Callable[..., list[str]],
    tmp_path: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A byte that is not what was handed to the disk."""
    real = weights_module.write_weights

    def flip(folder: Path, *given: object) -> dict[str, str]:
        digests = real(folder, *given)  # type: ignore[arg-type]
        raw = bytearray((folder / SINGLE).read_bytes())
        raw[-1] ^= 1
        (folder / SINGLE).write_bytes(raw)
        return digests

    monkeypatch.setattr("ekle.extension.extend.write_weights", flip)
    refused(extend(), "did not arrive byte for byte")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_model_too_large_to_run_is_not_distilled(
    extend: Callable[..., list[str]], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.extension.rules.teacher_student.memory_bytes", lambda: 10_000)
    refused(extend("--init", "distilled", "--corpus", "bundled:tr"), "does not fit the memory", "--init")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_the_command_reaches_every_rule(
    extend: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--set", "extension.focus.min_count=2", "--set", "extension.distillation.tokens=500"]
    for method in ("hybrid", "focus", "distilled"):
        words = extend("--init", method, "--corpus", "bundled:tr", *quick)
        assert main(words) == 0
        assert read_json(tmp_path / "out" / "extension.json")["init"] == method
        assert "Gradient flow: each of 20 new embeddings learns" in " ".join(capsys.readouterr().out.split())
        shutil.rmtree(tmp_path / "out")
