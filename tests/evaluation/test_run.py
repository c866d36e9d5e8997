"""Any folder against any other, and tokenizers in the terminal."""

import io
import json

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tiny import byte_level

from ekle.artifacts.evaluation_report import EvaluationReport, Figure
from ekle.bpe.base import load_tokenizer
from ekle.bpe.segmentation import token_spans
from ekle.errors import CheckpointError, InputError, RunFolderError, TextError
from ekle.evaluation import evaluated_models
from ekle.evaluation.report.terminal import comparison_table, highlighted_tokens, scorecard_table
from ekle.evaluation.run import evaluate_folder
from ekle.evaluation.tokenizer.compare import compare_tokenizers
from ekle.evaluation.trust.intervals import share
from ekle.progress import ProgressReporter, silent


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "metin.txt"
    path.write_text("Kediler bahçedeki ağaçların altında oturuyorlardı.\nEvlerimizden çıktık.\n", "utf-8")
    return {"metin": path}


def printed(renderable):
    stream = io.StringIO()
    Console(file=stream, width=140, color_system=None).print(renderable)
    return stream.getvalue()


def test_a_model_folder_is_measured_against_its_base(tiny_base, tiny_extended, texts, settings, tmp_path):
    out = tmp_path / "out"
    figures = evaluate_folder(tiny_extended.model, tiny_base, texts, settings, out, silent()).report.dump()
    assert set(figures["likelihood"]) == {"base", "extended"}
    assert set(figures["tokens"]["by_text"]) == {"metin"}
    assert "drift" not in figures and "training" not in figures
    assert (out / "report.html").exists()
    shown = printed(scorecard_table(EvaluationReport.model_validate(figures)))
    assert "metin" in shown and "bits per byte" in shown and "toy model" in shown


def test_a_base_against_itself_changes_nothing(tiny_base, texts, settings, tmp_path):
    figures = evaluate_folder(
        tiny_base, tiny_base, texts, settings, tmp_path / "out", silent(), other=texts
    ).report.dump()
    assert figures["tokens"]["all_held_out"]["saved"]["value"] == 0
    assert figures["drift"]["metin"]["changed"] == 0
    assert figures["likelihood"]["extended"]["metin"]["change"]["value"] == 0
    assert figures["tokens"]["new_tokens"]["available"] == 0


def test_a_tokenizer_alone_gets_token_figures_alone(tiny_base, tiny_vocabulary, texts, settings, tmp_path):
    stream = io.StringIO()
    reporter = ProgressReporter(Console(file=stream))
    figures = evaluate_folder(
        tiny_vocabulary.tokenizer, tiny_base, texts, settings, tmp_path / "out", reporter
    ).report.dump()
    assert "tokens" in figures and figures["vocabulary"]["size"] == 20
    assert not {"models", "likelihood", "generation"} & set(figures)
    assert "only tokens are measured" in stream.getvalue()


def test_what_cannot_be_measured_is_refused_before_anything_is_written(
    tiny_base, tiny_extended, texts, settings, tmp_path
):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="at least one text"):
        evaluate_folder(tiny_extended.model, tiny_base, {}, settings, out, silent())
    with pytest.raises(InputError, match="another name"):
        named = {"all_held_out": texts["metin"]}
        evaluate_folder(tiny_extended.model, tiny_base, named, settings, out, silent())
    with pytest.raises(InputError, match="another name"):
        evaluate_folder(tiny_extended.model, tiny_base, texts, settings, out, silent(), other=named)
    with pytest.raises(InputError, match="no folder"):
        evaluate_folder(tmp_path / "nowhere", tiny_base, texts, settings, out, silent())
    with pytest.raises(TextError, match="absent"):
        evaluate_folder(tiny_extended.model, tiny_base, {"x": tmp_path / "absent"}, settings, out, silent())
    assert not out.exists()


def test_a_folder_that_holds_something_else_is_left_alone(
    tiny_base, tiny_extended, texts, settings, tmp_path
):
    (tmp_path / "thesis.tex").write_text("mine", "utf-8")
    with pytest.raises(RunFolderError, match="something else"):
        evaluate_folder(tiny_extended.model, tiny_base, texts, settings, tmp_path, silent())


def test_tokenizers_are_compared_with_the_first_with_intervals(tmp_path):
    for name, tokenizer in {
        "base": byte_level("e v"),
        "ours": byte_level("e v", "l e", "le r", "ev ler"),
    }.items():
        (tmp_path / name).mkdir()
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
    # base: ev l e r, space, ev | e l; ours: evler, space, ev | e l; ten documents of each
    (tmp_path / "tr.txt").write_text("evler ev\nel\n" * 10, "utf-8")
    folders = {name: tmp_path / name for name in ("base", "ours")}
    first, second = compare_tokenizers(folders, {"tr": tmp_path / "tr.txt"}, changes=True)
    assert first.texts["tr"].tokens == 80
    assert set(first.texts["tr"].dump()) >= {"tokens", "floor"}
    assert not {"tokens_saved", "lines_changed", "changes"} & set(first.texts["tr"].dump())
    assert first.speed is None and first.decoding_speed is None
    own = second.texts["tr"]
    assert own.tokens_saved.value == pytest.approx(3 / 8)
    assert own.tokens_saved.low < 3 / 8 < own.tokens_saved.high < 1 / 2 + 1e-9
    assert (own.lines, own.lines_changed) == (20, share(10, 20))
    assert own.changes[0].count == 10
    for speed in (second.speed, second.decoding_speed):
        assert 0 < speed.low <= speed.high


def test_compared_tokenizers_are_printed_side_by_side(tiny_base, tiny_vocabulary, texts):
    rows = compare_tokenizers({"base": tiny_base, "ours": tiny_vocabulary.folder}, texts)
    assert rows[1].texts["metin"].tokens_saved.value > 0
    boundaries = [row.texts["metin"].morphology for row in rows]
    assert boundaries[1].f1.value > boundaries[0].f1.value > 0
    speeds = {"speed": Figure(value=0.9, low=0.8, high=1.1), "decoding_speed": Figure(value=1.2)}
    rows[1] = rows[1].model_copy(update=speeds)
    shown = printed(comparison_table(rows))
    assert "morphology of metin" in shown and "root intact" in shown
    assert "ours" in shown and "tokens saved" in shown and "characters/s" in shown
    assert "0.90× (0.80 to 1.10)" in shown and "1.20×" in shown


def test_text_in_another_language_gets_no_morphology(tiny_base, tmp_path):
    (tmp_path / "en.txt").write_text("The cats were sitting beneath those old branches yesterday.\n", "utf-8")
    (row,) = compare_tokenizers({"base": tiny_base}, {"en": tmp_path / "en.txt"})
    assert row.texts["en"].morphology is None


def test_tokens_are_printed_with_nothing_lost(tiny_vocabulary):
    tokenizer = load_tokenizer(tiny_vocabulary.tokenizer)
    text = "Ağaçların altında oturan yaşlılar"
    spans = token_spans(tokenizer, text)
    line = highlighted_tokens(spans)
    assert line.plain == "".join(span.text for span in spans)
    assert len({str(part.style) for part in line.spans}) == 2
    new = {token.id for token in tiny_vocabulary.tokens()}
    styles = {str(part.style) for part in highlighted_tokens(spans, new).spans}
    assert len(styles) > 2


def copied(folder, place):
    """A copy of a model folder that may be changed."""
    place.mkdir(parents=True)
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def grown(folder, place):
    """A copy of a model folder with 600 rows more, which are too many to be padding."""
    model = copied(folder, place)
    tensors = load_file(model / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = torch.cat([tensors[name], torch.zeros(600, tensors[name].shape[1])])
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((model / "config.json").read_text("utf-8"))
    rows = json.dumps(config | {"vocab_size": config["vocab_size"] + 600})
    (model / "config.json").write_text(rows, "utf-8")
    return model


def test_an_extended_model_with_the_tokenizer_of_its_base_is_refused(
    tiny_base, tiny_extended, texts, settings, tmp_path
):
    model, out = copied(tiny_extended.model, tmp_path / "mixed" / "model"), tmp_path / "out"
    (model / "tokenizer.json").write_bytes((tiny_base / "tokenizer.json").read_bytes())
    large = grown(model, tmp_path / "large" / "model")  # 620 rows are new
    with pytest.raises(CheckpointError, match=r"1,030 embedding rows.* for the last 620; take tokenizer"):
        evaluate_folder(large, tiny_base, texts, settings, out, silent())
    record = tiny_extended.folder / "extension.json"
    about = json.loads(record.read_text("utf-8"))
    (model.parent / record.name).write_text(json.dumps(about | {"digests": {}}), "utf-8")
    with pytest.raises(CheckpointError, match=r"430 embedding rows.* for the last 20; take tokenizer"):
        evaluate_folder(model, tiny_base, texts, settings, out, silent())
    assert not out.exists()


def test_rows_that_pad_a_model_are_no_new_rows(tiny_base, tiny_extended, tmp_path):
    tokenizer = load_tokenizer(tiny_base)
    evaluated_models.check_tokenizer_matches(tiny_base, tokenizer, tiny_base, recorded=False)
    evaluated_models.check_tokenizer_matches(
        tiny_extended.model, tokenizer, tiny_base, recorded=False
    )  # 20 more
    extended = load_tokenizer(tiny_extended.model)
    evaluated_models.check_tokenizer_matches(tiny_extended.model, extended, tiny_base, recorded=True)
    padded = grown(tiny_base, tmp_path / "padded")
    evaluated_models.check_tokenizer_matches(padded, tokenizer, padded, recorded=False)
    padded = grown(tiny_extended.model, tmp_path / "padded-too")
    evaluated_models.check_tokenizer_matches(padded, extended, tiny_base, recorded=False)


def test_a_configuration_of_other_rows_is_one_clear_error(
    tiny_base, tiny_extended, texts, settings, tmp_path
):
    model, out = copied(tiny_extended.model, tmp_path / "model"), tmp_path / "out"
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": 410}), "utf-8")
    with pytest.raises(CheckpointError, match="vocab_size 410 and the weights have 430 embedding rows"):
        evaluate_folder(model, tiny_base, texts, settings, out, silent())
    assert not out.exists()


@pytest.mark.parametrize("without_head", [True, False])
def test_a_base_whose_ends_contradict_its_configuration_is_not_measured(
    without_head, tiny_base, tiny_extended, texts, settings, tmp_path
):
    """transformers would fill the missing head with random numbers, and untie the other model."""
    base, out = copied(tiny_base, tmp_path / "base"), tmp_path / "out"
    if without_head:
        tensors = load_file(base / "model.safetensors")
        del tensors["lm_head.weight"]
        save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    else:
        config = json.loads((base / "config.json").read_text("utf-8"))
        (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}), "utf-8")
    with pytest.raises(CheckpointError, match="set tie_word_embeddings to"):
        evaluate_folder(tiny_extended.model, base, texts, settings, out, silent())
    assert not out.exists()
    with pytest.raises(CheckpointError, match="set tie_word_embeddings to"):
        _ = evaluated_models.EvaluatedModel("base", base).loaded
