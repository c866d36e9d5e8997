"""Which sources training reads, and how much of each."""

import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from transformers import AutoTokenizer

from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.errors import RecipeError, TrainingError
from ekle.model.layers.loss import IGNORED
from ekle.progress import ProgressReporter, silent
from ekle.recipe import make_recipe
from ekle.training.data.data_mixture import apply_curriculum, make_sources
from ekle.training.data.packing import Cursor, Packed, Source, pack
from ekle.training.stage import Inputs, run

LENGTH = 40
TRAINING: dict[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": LENGTH,
    "learning_rate": 3e-3,
    "checkpoint_steps": 2,
    "log_steps": 1,
    "precision": "fp32",
    "dora": {"rank": 2, "alpha": 2.0},
}
MIXED = {"replay_share": 0.2, "instruction_share": 0.3, "source_weights": {"kitap": 1, "haber": 3}}


def by_length(text: str, frequent: frozenset[str]) -> list[float]:
    return [float(len(text))] * 5


@pytest.fixture
def corpus(tiny_corpus: Corpus, tmp_path: Path) -> Corpus:
    """The tiny corpus as if its text came from two entries, with instructions."""
    folder = tmp_path / "1-corpus"
    shutil.copytree(tiny_corpus.folder, folder)
    made = Corpus(folder)
    ends = list(itertools.accumulate(map(len, made.train.read_bytes().splitlines(keepends=True))))
    stretches = {"haber": [0, ends[9]], "kitap": [ends[9], ends[-1]]}
    (folder / "corpus.json").write_text(json.dumps(made.summary | {"stretches": stretches}), "utf-8")
    turns = [
        [{"role": "user", "content": f"{n} kaçtır?"}, {"role": "assistant", "content": "Sayıdır. " * (n + 1)}]
        for n in range(7)
    ]
    made.instructions.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns), "utf-8")
    return made


def sources(
    corpus: Corpus, extended: ExtendedModel, reporter: ProgressReporter | None = None, **training: Any
) -> list[Source]:
    recipe = make_recipe({"name": "t", "training": TRAINING | training})
    tokenizer = AutoTokenizer.from_pretrained(extended.model)
    return make_sources(recipe, corpus, extended, tokenizer, 4 * LENGTH, reporter or silent())


def test_the_shares_are_those_of_the_recipe(corpus: Corpus, tiny_extended: ExtendedModel) -> None:
    found = {source.name: source.share for source in sources(corpus, tiny_extended, **MIXED)}
    assert found == pytest.approx(
        {"turkish-1": 0.375, "turkish-2": 0.125, "replay": 0.2, "instructions": 0.3}
    )
    assert [source.name for source in sources(corpus, tiny_extended)] == ["turkish", "replay"]


def test_an_entry_gives_its_own_documents_and_all_of_them(
    corpus: Corpus, tiny_extended: ExtendedModel
) -> None:
    news, books = sources(corpus, tiny_extended, **MIXED)[:2]
    (whole,) = sources(corpus, tiny_extended, replay_share=0)

    def once(source: Source) -> set[tuple[int, ...]]:
        return {tuple(source.documents.tokens(n).inputs) for n in range(len(source.documents))}

    assert len(news.documents) == 10
    assert len(news.documents) + len(books.documents) == len(whole.documents)
    assert once(news) | once(books) == once(whole)


def mixed(corpus: Corpus, extended: ExtendedModel, cursor: Cursor) -> Any:
    return pack(sources(corpus, extended, **MIXED), length=LENGTH, cursor=cursor)


def test_each_source_gets_its_share_at_any_time(corpus: Corpus, tiny_extended: ExtendedModel) -> None:
    found = sources(corpus, tiny_extended, **MIXED)
    longest = max(len(s.documents.tokens(n).inputs) for s in found for n in range(len(s.documents)))
    for packed in itertools.islice(mixed(corpus, tiny_extended, Cursor()), 200):
        after = packed.after
        for source in found:
            assert abs(after.read[source.name] - source.share * after.tokens) <= longest, source.name


@pytest.mark.parametrize("stopped", [0, 1, 7, 30])
def test_a_mixture_goes_on_exactly_where_it_stopped(
    corpus: Corpus, tiny_extended: ExtendedModel, stopped: int
) -> None:
    whole: list[Packed] = list(itertools.islice(mixed(corpus, tiny_extended, Cursor()), stopped + 40))
    cursor = Cursor(**json.loads(json.dumps(whole[stopped - 1].after.as_json()))) if stopped else Cursor()
    assert list(itertools.islice(mixed(corpus, tiny_extended, cursor), 40)) == whole[stopped:]


def test_a_conversation_is_a_document_of_its_own(corpus: Corpus, tiny_extended: ExtendedModel) -> None:
    """It begins at position 0 with its first turn, and what is asked in it is not learned."""
    (chat,) = (s for s in sources(corpus, tiny_extended, **MIXED) if s.name == "instructions")
    begins = chat.documents.tokens(0).inputs[0]
    seen = 0
    for packed in itertools.islice(mixed(corpus, tiny_extended, Cursor()), 100):
        for at, token in enumerate(packed.inputs[1:], start=1):
            if token == begins and packed.positions[at] == 0:
                seen += 1
                assert packed.labels[at] == IGNORED
    assert seen > 10


def test_a_curriculum_orders_each_entry_by_itself(
    corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any measure will do here, and that of length takes no time.
    monkeypatch.setattr("ekle.training.data.curriculum.frequent_words", lambda counts: frozenset())
    monkeypatch.setattr("ekle.training.data.curriculum.measure", by_length)
    curriculum = {"pacing": "linear", "start": 0.1, "share": 1.0}
    found = sources(corpus, tiny_extended, curriculum=curriculum, **MIXED)
    before = {s.name: [s.documents.tokens(n).inputs for n in range(len(s.documents))] for s in found}
    recipe = make_recipe({"name": "t", "training": TRAINING | MIXED | {"curriculum": curriculum}})
    apply_curriculum(found, recipe, 4 * LENGTH, tmp_path / "kept", Cursor(), True, silent())
    changed = []
    for source in found:
        after = [source.documents.tokens(n).inputs for n in range(len(source.documents))]
        assert all(inputs in before[source.name] for inputs in after)
        changed += [source.name] if after != before[source.name] else []
    assert changed == ["turkish-1", "turkish-2"]


def test_all_other_processes_may_read_the_order_of_the_main_one_at_once(
    corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.training.data.curriculum.frequent_words", lambda counts: frozenset())
    monkeypatch.setattr("ekle.training.data.curriculum.measure", by_length)
    recipe = make_recipe({"name": "t", "training": TRAINING | {"curriculum": {"pacing": "linear"}}})
    both_write = threading.Barrier(2)

    def read(writes: bool) -> list[list[int]]:
        (own, *_) = found = sources(corpus, tiny_extended)
        apply_curriculum(found, recipe, 4 * LENGTH, tmp_path / "kept", Cursor(), writes, silent())
        return [own.documents.tokens(number).inputs for number in range(len(own.documents))]

    def save_together(*args: Any, **kwargs: Any) -> None:
        save_file(*args, **kwargs)
        both_write.wait(timeout=5)  # then one of two takes the temporary file away from the other

    order = read(True)
    monkeypatch.setattr("ekle.training.data.curriculum.save_file", save_together)
    with ThreadPoolExecutor(2) as others:
        assert list(others.map(read, [False, False])) == [order, order]


def test_an_entry_without_documents_is_named(corpus: Corpus, tiny_extended: ExtendedModel) -> None:
    with pytest.raises(TrainingError, match=r"the corpus has no document of dergi; raise corpus\.max_bytes"):
        sources(corpus, tiny_extended, source_weights={"haber": 1, "dergi": 2})


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"replay_share 0\.5 and instruction_share 0\.5 leave nothing"):
        make_recipe({"name": "t", "training": {"replay_share": 0.5, "instruction_share": 0.5}})


def test_training_on_a_mixture_learns_logs_and_goes_on_alike(
    corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    recipe = make_recipe({"name": "t", "training": TRAINING | MIXED})
    inputs = Inputs(corpus, tiny_extended)
    for name in ("whole", "again"):
        (tmp_path / name).mkdir()
    whole = run(recipe, inputs, tmp_path / "whole", silent())
    line = next(line for line in reversed(whole.history) if "loss_per_token" in line)
    shares = {name: line[f"{name}_tokens"] / line["tokens"] for name in ("replay", "instructions")}
    assert shares == pytest.approx({"replay": 0.2, "instructions": 0.3}, abs=0.08)
    assert line["tokens"] == 6 * 4 * LENGTH

    # As if the run had been killed after four steps.
    shutil.copytree(tmp_path / "whole", tmp_path / "again", dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "again/checkpoints/step-000006")
    (tmp_path / "again/training.json").unlink()
    again = run(recipe, inputs, tmp_path / "again", silent())
    assert weights(again) == weights(whole)


def weights(checkpoint: Checkpoint) -> list[bytes]:
    return [checkpoint.rows.read_bytes(), (checkpoint.adapter / "adapter_model.safetensors").read_bytes()]
