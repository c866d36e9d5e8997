"""Peers: other models and tokenizers; and folders whose parts do not belong together."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import ENGLISH, byte_level

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.artifacts.evaluation_report import Figure
from ekle.bpe.base import load_tokenizer
from ekle.cli import main
from ekle.errors import CheckpointError, InputError, TextError
from ekle.evaluation.run import evaluate_folder
from ekle.evaluation.texts import Texts
from ekle.evaluation.tokenizer.peers import measure_peers
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

SENTENCES = [f"Kediler {number} bahçedeki ağaçların altında oturuyorlardı." for number in range(12)]


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Path]:
    path = tmp_path / "metin.txt"
    path.write_text("\n".join(SENTENCES), "utf-8")
    return {"metin": path}


def test_a_peer_tokenizer_has_the_figures_it_would_have_as_ours(
    tiny_base: Path, tiny_vocabulary: Vocabulary, settings: EvaluationSettings
) -> None:
    base, ours = load_tokenizer(tiny_base), load_tokenizer(tiny_vocabulary.tokenizer)
    found = measure_peers(
        base, {"ours": ours, "base again": base}, Texts({"a": SENTENCES}, {"en": ENGLISH}), settings
    )
    again, own = found["base again"], found["ours"]
    assert again.all_held_out.saved == Figure(value=0.0)
    assert again.drift["en"].value == 0
    tokens = [sum(len(one.encode(text)) for text in SENTENCES) for one in (base, ours)]
    assert own.all_held_out.saved.value == pytest.approx(1 - tokens[1] / tokens[0])
    assert own.by_text["a"] == own.all_held_out
    assert all(0 < speed.ratio.low <= speed.ratio.high for speed in (own.speed, own.decoding))


def test_without_text_in_a_language_its_figures_are_absent(
    tiny_base: Path, settings: EvaluationSettings
) -> None:
    base = load_tokenizer(tiny_base)
    (found,) = measure_peers(base, {"x": byte_level()}, Texts({}, {"en": ENGLISH}), settings).values()
    assert set(found.dump()) == {"vocabulary", "drift"}
    (found,) = measure_peers(base, {"x": byte_level()}, Texts({"a": SENTENCES}, {}), settings).values()
    assert found.drift is None


def test_peer_models_are_measured_as_ours_and_tokenizers_as_tokenizers(
    tiny_base: Path,
    tiny_extended: ExtendedModel,
    tiny_vocabulary: Vocabulary,
    texts: dict[str, Path],
    settings: EvaluationSettings,
    tmp_path: Path,
) -> None:
    figures = evaluate_folder(
        tiny_extended.model,
        tiny_base,
        texts,
        settings,
        tmp_path / "out",
        silent(),
        trained=tiny_extended.model,
        peers={"twin": tiny_extended.model, "words": tiny_vocabulary.tokenizer},
    ).report.dump()
    assert set(figures["peers"]) == {"twin", "words"}
    assert list(figures["likelihood"]) == ["base", "extended", "trained", "twin"]
    assert figures["likelihood"]["twin"] == figures["likelihood"]["extended"]
    assert figures["generation"]["twin"] == figures["generation"]["extended"]
    assert "twin" not in " ".join(sentence["text"] for sentence in figures["verdict"])


@pytest.mark.parametrize("name", ["trained", "held_out", "a/b", "", " x"])
def test_a_name_that_the_report_cannot_use_is_refused(
    name: str, tiny_base: Path, texts: dict[str, Path], settings: EvaluationSettings, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="NAME=FOLDER"):
        evaluate_folder(
            tiny_base, tiny_base, texts, settings, tmp_path / "out", silent(), peers={name: tiny_base}
        )
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_with_more_ids_than_the_model_has_rows_is_refused_before_anything_is_measured(
    tiny_base: Path,
    tiny_vocabulary: Vocabulary,
    texts: dict[str, Path],
    settings: EvaluationSettings,
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_base, broken)
    shutil.copy(tiny_vocabulary.tokenizer / "tokenizer.json", broken)
    with pytest.raises(CheckpointError, match="410 embedding rows but a token with id 429"):
        evaluate_folder(broken, tiny_base, texts, settings, tmp_path / "out", silent())
    assert not (tmp_path / "out").exists()


def test_gold_and_pairs_are_read_before_anything_is_measured(
    tiny_base: Path, texts: dict[str, Path], settings: EvaluationSettings, tmp_path: Path
) -> None:
    (tmp_path / "few.tsv").write_text("Gel!\tCome!\n", "utf-8")
    (tmp_path / "bad.tsv").write_text("evler ev ler\n", "utf-8")
    for key, name, message in (("parallel", "few.tsv", "too few"), ("gold", "bad.tsv", "no tab")):
        asked = settings.model_copy(update={key: [str(tmp_path / name)]})
        with pytest.raises(TextError, match=message):
            evaluate_folder(tiny_base, tiny_base, texts, asked, tmp_path / "out", silent())
    assert not (tmp_path / "out").exists()


def test_models_translate_what_the_user_gives(
    tiny_base: Path, texts: dict[str, Path], settings: EvaluationSettings, tmp_path: Path
) -> None:
    pairs = [f"Kedi {number} geldi.\tCat {number} came.\n" for number in range(11)]
    (tmp_path / "pairs.tsv").write_text("".join(pairs), "utf-8")
    more = {"parallel": [str(tmp_path / "pairs.tsv")], "prompts": [], "samples": 0, "shots": 1}
    asked = settings.model_copy(update={**more, "batch_size": 16, "speed_passages": 0})
    figures = evaluate_folder(tiny_base, tiny_base, texts, asked, tmp_path / "out", silent()).report.dump()
    base, extended = figures["translation"]["base"]["tr-en"], figures["translation"]["extended"]["tr-en"]
    assert base["pairs"] == 10 and base["bleu"] == extended["bleu"]
    assert extended["chrf_change"] == {"value": 0.0}
    assert "generated" not in figures and "prefill" not in figures["inference"]


def test_the_command_takes_others_by_name_and_by_folder(
    tiny_base: Path, tiny_vocabulary: Vocabulary, texts: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tokenizer = str(tiny_vocabulary.tokenizer)
    words = ["evaluate", tokenizer, "--against", str(tiny_base), "--text", str(texts["metin"])]
    words += ["--beside", f"peer={tiny_base}", "--beside", tokenizer, "--out", str(out)]
    assert main(words) == 0
    figures = json.loads((out / "report.json").read_text("utf-8"))
    assert list(figures["peers"]) == ["peer", "tokenizer"]
    assert main([*words[:-1], str(tmp_path / "again"), "--beside", f"peer={tiny_base}"]) == 2
