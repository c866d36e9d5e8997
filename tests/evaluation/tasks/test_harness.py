"""Asking a model through lm-evaluation-harness: the same figures as by hand."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from partial_report import report_of
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts.evaluation_report import Figure
from ekle.errors import CheckpointError, DeviceMemoryError
from ekle.evaluation.report.terminal import scorecard_table
from ekle.evaluation.run import evaluate_folder
from ekle.evaluation.tasks.files import Example, Task
from ekle.evaluation.tasks.scores import AnswerScores, compare_tasks
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

pytest.importorskip("lm_eval", reason="tasks need lm-evaluation-harness: pip install 'ekle[tasks]'")

from lm_eval.api.instance import Instance

from ekle.evaluation.tasks.harness import HarnessModel, ask

SETTINGS = EvaluationSettings(batch_size=3, resamples=50)
CHOICES = ("q", "ağaçların altında", "kaybolur")
ASKED = tuple(
    Example(f"Soru: Buz {number} derecede ne olur?\nCevap:", CHOICES, number % 3) for number in range(12)
)
SHOWN = (Example("Soru: Su ne renktir?\nCevap:", ("renksiz", "kırmızı"), 0),)
SCIENCE = Task("buz", "tr", "science", SHOWN, ASKED)


@pytest.fixture(scope="module")
def loaded(_bases: dict[bool, Path]) -> tuple[Any, Any]:
    folder = _bases[False]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def nats(model: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """ln p of `answer` behind `prompt`, straight from the model."""
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    behind = tokenizer(answer, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([before + behind])).logits[0].float()
    places = torch.arange(len(before) - 1, len(before) + len(behind) - 1)
    return float(logits.log_softmax(-1)[places, torch.tensor(behind)].sum())


def test_a_likelihood_is_the_one_computed_directly(loaded: tuple[Any, Any]) -> None:
    asked = HarnessModel(*loaded, 2)
    pairs = [(ASKED[0].prompt, f" {choice}") for choice in CHOICES]
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    found = [value for value, _ in asked.loglikelihood(requests)]
    assert found == pytest.approx([nats(*loaded, *pair) for pair in pairs], abs=1e-4)
    assert asked.truncated == 0


def test_accuracies_are_those_worked_by_hand(loaded: tuple[Any, Any]) -> None:
    scores = ask(*loaded, SCIENCE, SETTINGS, silent())
    shown = f"{SHOWN[0].prompt} renksiz\n\n"
    plain, by_bytes = [], []
    for one in ASKED:
        values = [nats(*loaded, shown + one.prompt, f" {choice}") for choice in CHOICES]
        rates = [value / len(choice.encode()) for value, choice in zip(values, CHOICES, strict=True)]
        plain.append(float(values.index(max(values)) == one.gold))
        by_bytes.append(float(rates.index(max(rates)) == one.gold))
    assert scores.by_score == {"accuracy": plain, "accuracy_bytes": by_bytes}
    assert plain != by_bytes  # or the case would not tell the two apart


def test_fewer_are_asked_at_once_where_memory_is_short(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, plain, sizes = ask(*loaded, SCIENCE, SETTINGS, silent()), HarnessModel.loglikelihood, []

    def small(self: Any, requests: Any, disable_tqdm: bool = True) -> Any:
        sizes.append(self.batch_size)
        if self.batch_size > fits:
            raise torch.OutOfMemoryError("no memory")
        return plain(self, requests, disable_tqdm)

    monkeypatch.setattr(HarnessModel, "loglikelihood", small)
    fits = 1
    assert ask(*loaded, SCIENCE, SETTINGS, silent()) == whole
    assert sizes == [3, 1]
    fits = 0
    with pytest.raises(DeviceMemoryError, match=r"evaluation\.task_shots"):
        ask(*loaded, SCIENCE, SETTINGS, silent())


def test_the_answer_begins_a_token_of_its_own_where_the_vocabulary_would_join_it(
    loaded: tuple[Any, Any],
) -> None:
    model, tokenizer = loaded
    prompt, together = (tokenizer(text)["input_ids"] for text in ("Ev: evle", "Ev: evler"))
    (answer,) = tokenizer("r")["input_ids"]
    assert tokenizer.decode(together[len(prompt) :]) == "er"  # what the harness alone would score
    asked = HarnessModel(model, tokenizer, 1)
    ((nats, _),) = asked.loglikelihood([Instance("loglikelihood", {}, ("Ev: evle", "r"), 0)])
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([prompt])).logits[0, -1]
    assert nats == pytest.approx(scores.log_softmax(dim=-1)[answer].item(), rel=1e-5)


def test_the_batch_does_not_change_the_figures(loaded: tuple[Any, Any]) -> None:
    alone = SETTINGS.model_copy(update={"batch_size": 1})
    assert ask(*loaded, SCIENCE, SETTINGS, silent()) == ask(*loaded, SCIENCE, alone, silent())


def test_an_answer_is_written_greedily_and_the_models_own_settings_come_back(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    questions = tuple(
        Example(f"Metin: Ali {number} elma aldı.\nSoru: Kaç?\nCevap:", answers=(str(number),))
        for number in range(3)
    )
    task = Task("elma", "tr", "extraction", (), questions)
    own = model.generation_config
    assert own.do_sample  # the fixture's model would draw by chance
    first = ask(model, tokenizer, task, SETTINGS, silent())
    assert first == ask(model, tokenizer, task, SETTINGS, silent())
    assert model.generation_config is own
    assert set(first.by_score) == {"exact_match", "f1"} and len(first.by_score["f1"]) == 3


def test_prompts_without_room_are_counted(loaded: tuple[Any, Any]) -> None:
    long = Example("Soru: " + "ne oldu? " * 200 + "\nCevap:", ("a", "b"), 0)
    task = Task("uzun", "tr", "science", (), (long,))
    assert ask(*loaded, task, SETTINGS, silent()).truncated == 2  # both choices


def test_a_broken_model_is_refused(loaded: tuple[Any, Any], _bases: dict[bool, Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(_bases[False], dtype=torch.float32).eval()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="NaN"):
        ask(model, loaded[1], SCIENCE, SETTINGS, silent())


def test_figures_are_held_against_the_first_model() -> None:
    right = [1.0] * 9 + [0.0] * 3
    half = [1.0, 0.0] * 6
    scores = {
        "base": AnswerScores({"accuracy": half, "accuracy_bytes": half}, 0),
        "trained": AnswerScores({"accuracy": right, "accuracy_bytes": half}, 4),
    }
    figures = compare_tasks([SCIENCE], {"buz": scores}, SETTINGS)["buz"]
    assert figures.chance == pytest.approx(1 / 3)
    assert (figures.examples, figures.shots, figures.language) == (12, 1, "tr")
    base, trained = figures.models["base"], figures.models["trained"]
    assert base.accuracy.value == 0.5 and trained.accuracy.value == 0.75
    assert base.accuracy.low < 0.5 < base.accuracy.high
    assert base.accuracy_difference is None and base.truncated is None and trained.truncated == 4
    assert trained.accuracy_difference.value == pytest.approx(0.25)
    assert trained.accuracy_bytes_difference == Figure(value=0)
    lettered = Task("sınav", "tr", "exam", (), ASKED)
    found = compare_tasks([lettered], {"sınav": scores}, SETTINGS)["sınav"].models["trained"]
    assert found.accuracy_bytes is None and found.accuracy_bytes_difference is None


def test_an_evaluation_reports_tasks_and_keeps_what_is_finished(
    tiny_base: Path,
    tiny_extended: Any,
    settings: EvaluationSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, text, out = tmp_path / "buz.jsonl", tmp_path / "metin.txt", tmp_path / "out"
    text.write_text("Kediler bahçedeki ağaçların altında oturuyorlardı.\n", "utf-8")
    records = [
        {"question": one.prompt, "choices": {"text": CHOICES, "label": ["A", "B", "C"]}, "answerKey": "A"}
        for one in ASKED
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    asking = settings.model_copy(
        update={"tasks": {"buz": str(file)}, "task_examples": 3, "prompts": [], "speed_passages": 0}
    )

    def measured() -> dict[str, Any]:
        return evaluate_folder(
            tiny_extended.model, tiny_base, {}, asking, out, silent(), other={"metin": text}
        ).report.dump()["tasks"]

    first = measured()
    assert set(first["buz"]["models"]) == {"base", "extended"}
    stream = io.StringIO()
    Console(file=stream, width=160).print(scorecard_table(report_of({"tasks": first})))
    assert "extended less base" in stream.getvalue() and "accuracy_bytes" in stream.getvalue()
    assert "accuracy_difference" in first["buz"]["models"]["extended"]
    (out / "parts" / "task-buz=extended.json").unlink()
    names = []
    original = ask
    monkeypatch.setattr(
        "ekle.evaluation.tasks.harness.ask", lambda *given: names.append(given[2].name) or original(*given)
    )
    assert measured() == first and names == ["buz"]
