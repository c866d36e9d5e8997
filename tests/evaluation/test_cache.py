"""Which finished parts may be used again."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from ekle.artifacts import ExtendedModel, Scorecard, Vocabulary
from ekle.evaluation import run
from ekle.evaluation.plan import EvaluationPlan
from ekle.evaluation.trust import provenance
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings


@pytest.fixture
def stamp(tiny_base, tiny_extended, tmp_path, monkeypatch):
    """The stamp of one evaluation, but for what is given; nothing is measured."""
    found = []

    def caught(plan: EvaluationPlan, folder: Path, *_) -> Scorecard:
        found.append(plan.stamp)
        return Scorecard(folder)

    monkeypatch.setattr(run, "run_evaluation", caught)
    wiki, en = tmp_path / "wiki.txt", tmp_path / "en.txt"
    wiki.write_text("Evlerimizden çıktık.\n", "utf-8")
    en.write_text("We left.\n", "utf-8")

    def stamp_with(**changes):
        given = {
            "model": tiny_extended.model,
            "against": tiny_base,
            "texts": {"wiki": wiki},
            "settings": EvaluationSettings(),
            "other": {"en": en},
            "trained": tiny_extended.model,
            "peers": {"x": tiny_base},
        }
        run.evaluate_folder(**(given | changes), out=tmp_path / "out", reporter=silent())
        return found[-1]

    return stamp_with


def test_parts_are_kept_where_the_question_is_the_same(stamp) -> None:
    assert stamp() == stamp()


def test_parts_of_another_question_are_not(
    stamp,
    tiny_base: Path,
    tiny_extended: ExtendedModel,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wiki, en = tmp_path / "wiki.txt", tmp_path / "en.txt"
    text = {"wiki": wiki}
    extended = tmp_path / "extended"
    shutil.copytree(tiny_extended.folder, extended)
    record = extended / "extension.json"
    about = json.loads(record.read_text("utf-8"))
    record.write_text(json.dumps(about | {"digests": {}}), "utf-8")
    stamps = {
        "as it is": stamp(),
        "all are Turkish": stamp(texts=text | {"en": en}, other={}),
        "another name": stamp(texts={"vikipedi": wiki}),
        "names exchanged": stamp(texts={"wiki": en}, other={"en": wiki}),
        "another model beside": stamp(peers={"y": tiny_base}),
        "names beside exchanged": stamp(peers={"x": tiny_base, "y": tiny_vocabulary.tokenizer}),
        "the same the other way": stamp(peers={"x": tiny_vocabulary.tokenizer, "y": tiny_base}),
        "not trained": stamp(trained=None),
        "roles exchanged": stamp(against=tiny_extended.model, model=tiny_base),
        "a tokenizer alone": stamp(against=tiny_vocabulary.tokenizer),
        "another setting": stamp(settings=EvaluationSettings(context=7)),
        "text that was learned": stamp(learned_from=[en]),
        "beside a record": stamp(model=extended / "model"),
    }
    record.touch()
    stamps["beside another record"] = stamp(model=extended / "model")
    threads = torch.get_num_threads() + 1
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        stamps["another device"] = stamp()
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "inference_device", lambda: (torch.device("cpu"), torch.bfloat16))
        stamps["another precision"] = stamp()
    wiki.touch()
    stamps["another file"] = stamp()
    found = list(stamps.values())
    assert [name for name, one in stamps.items() if found.count(one) > 1] == []
