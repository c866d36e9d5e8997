"""Documents, packed into sequences and made ahead of the model."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Qwen3ForCausalLM

from ekle.artifacts import ExtendedModel
from ekle.errors import TextError, TrainingError
from ekle.model.layers.loss import IGNORED
from ekle.recipe.training import NeftuneSettings
from ekle.training.data.documents import Documents, Lines
from ekle.training.data.packing import Batches, Cursor, Packed, Source, check_enough_text, pack, prefetch
from ekle.training.objective import Objective

START = 999


def encode(texts: list[str]) -> list[list[int]]:
    """One token a character."""
    return [[ord(character) for character in text] for text in texts]


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "source": "x"}) + "\n" for text in texts), "utf-8")
    return path


def documents(path: Path, seed: int = 0) -> Documents:
    return Documents(Lines(path, seed), encode, START)


@pytest.fixture
def text(tmp_path: Path) -> Documents:
    return documents(write(tmp_path / "train.jsonl", ["abc", "defgh", "ij", "klmnopqrst"]))


@pytest.fixture
def replay(tmp_path: Path) -> Documents:
    return documents(write(tmp_path / "replay.jsonl", ["ABCD", "EF"]))


def sequences(
    text: Documents, replay: Documents | None = None, share: float = 0.0, length: int = 8, **kwargs: Cursor
) -> Iterator[Packed]:
    sources = [Source("turkish", 1 - share, text)]
    sources += [Source("replay", share, replay)] if replay else []
    return pack(sources, length=length, cursor=kwargs.get("cursor", Cursor()))


def test_every_pass_reads_every_document_once_in_an_order_of_its_own(text: Documents) -> None:
    passes = [[tuple(text.ids(number)) for number in range(turn * 4, turn * 4 + 4)] for turn in range(6)]
    assert all(sorted(each) == sorted(passes[0]) for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_the_order_comes_from_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "many.jsonl", [str(number) for number in range(50)])
    first, again, other = ([documents(path, seed).ids(number) for number in range(50)] for seed in (1, 1, 2))
    assert first == again != other


def test_a_document_may_be_asked_for_in_any_order(text: Documents, tmp_path: Path) -> None:
    forward = [text.ids(number) for number in range(200)]
    assert [text.ids(number) for number in reversed(range(200))] == forward[::-1]


def test_sequences_are_full_and_hold_the_documents_in_order(text: Documents) -> None:
    packed = list(itertools.islice(sequences(text), 10))
    assert all(len(each.inputs) == len(each.labels) == len(each.positions) == 8 for each in packed)
    stream = [token for each in packed for token in each.inputs]
    expected = [token for number in range(20) for token in (START, *text.ids(number))]
    assert stream == expected[: len(stream)]


def test_each_label_is_the_token_that_follows_in_its_document(text: Documents) -> None:
    packed = list(itertools.islice(sequences(text), 10))
    inputs = [token for each in packed for token in each.inputs]
    labels = [token for each in packed for token in each.labels]
    assert labels[:-1] == inputs[1:]  # the end of a document and the start of the next are one token
    assert labels.count(START) >= 8


def test_positions_start_anew_with_each_document_and_each_sequence(text: Documents) -> None:
    for each in itertools.islice(sequences(text), 10):
        assert each.positions[0] == 0
        for at in range(1, 8):
            assert each.positions[at] == (0 if each.inputs[at] == START else each.positions[at - 1] + 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("packing")
    texts = ["abc", "defgh", "ij", "klmnopqrstuvwxyz" * 3]
    return [write(folder / "train.jsonl", texts), write(folder / "replay.jsonl", ["ABCD", "EF"])]


@given(st.integers(0, 60), st.integers(3, 17), st.sampled_from([0.0, 0.2, 0.5]))
def test_a_run_goes_on_exactly_where_it_stopped(
    files: list[Path], stopped: int, length: int, share: float
) -> None:
    text, replay = (documents(path, 3) for path in files)
    whole = list(itertools.islice(sequences(text, replay, share, length), stopped + 20))
    cursor = Cursor(**json.loads(json.dumps(whole[stopped - 1].after.as_json()))) if stopped else Cursor()
    fresh = [documents(path, 3) for path in files]
    rest = list(itertools.islice(sequences(*fresh, share, length, cursor=cursor), 20))
    assert rest == whole[stopped:]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_replay_has_its_share_of_the_tokens(text: Documents, replay: Documents, share: float) -> None:
    last = list(itertools.islice(sequences(text, replay, share, 16), 300))[-1].after
    assert last.tokens == 300 * 16
    assert last.read["replay"] / last.tokens == pytest.approx(share, abs=0.01)


def test_without_replay_all_tokens_are_of_the_text(text: Documents) -> None:
    last = list(itertools.islice(sequences(text), 50))[-1].after
    assert last.read == {"turkish": 50 * 8}


def test_two_processes_read_what_one_reads(text: Documents) -> None:
    one = Batches(sequences(text), 4)
    two = [Batches(sequences(text), 2, process, 2) for process in range(2)]
    for whole, *halves in zip(itertools.islice(one, 5), *two, strict=False):
        for process, half in enumerate(halves):
            for name in ("input_ids", "labels", "position_ids"):
                assert torch.equal(half[name], whole[name][process::2])
            assert half["numbers"] == whole["numbers"][process::2]
        assert halves[0]["cursor"] == halves[1]["cursor"] == whole["cursor"]


def test_too_little_text_for_one_step_is_an_error_that_names_the_cure(text: Documents) -> None:
    check_enough_text([text], 24)  # 20 characters and an end for each of 4 documents
    with pytest.raises(TrainingError, match=r"24 tokens but one step takes 25.*training.batch_size"):
        check_enough_text([text], 25)


def test_a_line_that_is_no_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\nnonsense\n', "utf-8")
    with pytest.raises(TextError, match="no document"):
        [documents(tmp_path / "train.jsonl").ids(number) for number in range(2)]
    with pytest.raises(TextError, match="cannot be read"):
        documents(tmp_path / "absent.jsonl")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_nothing_leaks_from_one_packed_document_into_another(
    tiny_extended: ExtendedModel, attention: str
) -> None:
    """Not a bit of the second document's logits depends on the first."""
    model = Qwen3ForCausalLM.from_pretrained(
        tiny_extended.model, dtype=torch.float32, attn_implementation=attention
    )
    generator = torch.Generator().manual_seed(0)
    first, second, other = (torch.randint(0, 430, (1, n), generator=generator) for n in (7, 5, 7))

    def logits(*documents: torch.Tensor) -> torch.Tensor:
        positions = torch.cat([torch.arange(each.shape[1]) for each in documents]).unsqueeze(0)
        found: torch.Tensor = model(
            torch.cat(documents, dim=1), position_ids=positions, use_cache=False
        ).logits
        return found

    alone, packed, beside = logits(second), logits(first, second), logits(other, second)
    torch.testing.assert_close(packed[:, 7:], alone, atol=1e-5, rtol=1e-5)
    assert torch.equal(packed[:, 7:], beside[:, 7:])
    assert not torch.equal(packed[:, :7], beside[:, :7])


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_nothing_leaks_in_what_training_calls(tiny_extended: ExtendedModel, attention: str) -> None:
    """The same through the objective, noise and all: the second document's loss is a matter of its own."""
    model = Qwen3ForCausalLM.from_pretrained(
        tiny_extended.model, dtype=torch.float32, attn_implementation=attention
    )
    objective = Objective(model, NeftuneSettings(alpha=5.0), torch.ones(430, dtype=torch.long)).train()
    ids = torch.randint(0, 430, (2, 13), generator=torch.Generator().manual_seed(0))
    ids[1, 7:] = ids[0, 7:]
    positions = torch.tensor([[*range(7), *range(5)]])
    labels = ids[:, 1:].clone()
    labels[:, :7] = IGNORED
    losses = [
        objective(
            ids[row : row + 1, :-1],
            labels[row : row + 1],
            positions,
            noise=[torch.Generator().manual_seed(1)],
        )[0]
        for row in range(2)
    ]
    assert losses[0] == losses[1] > 0


def test_large_files_are_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """A process of its own reads 60 MB as text, and packs sequences of it, in less than a third of that."""
    script = """
import itertools, json, resource, sys
from pathlib import Path
from ekle.text.documents import documents
from ekle.training.data.documents import Documents, Lines
from ekle.training.objective import Objective
from ekle.training.data.packing import Cursor, Source, pack
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
path = Path(sys.argv[1])
before = peak()
with path.open("w") as out:
    for number in range(20_000):
        out.write(json.dumps({"text": f"{number} " + "ev " * 1000}) + chr(10))
assert sum(len(document.text) for document in documents([str(path)])) > 60_000_000
lines = Lines(path, 0)
read = Documents(lines, lambda texts: [list(text.encode()) for text in texts], 0)
for packed in itertools.islice(pack([Source("t", 1.0, read)], length=2048, cursor=Cursor()), 500):
    pass
assert packed.after.tokens == 500 * 2048
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "large.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "large.jsonl").stat().st_size > 60_000_000
    assert int(done.stdout) < 20_000_000


def test_the_items_and_their_order_are_the_same() -> None:
    assert list(prefetch(iter(range(1000)), 3)) == list(range(1000))


def test_no_more_than_asked_for_is_made_in_advance() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(prefetch(items(), 4)) as taken:
        assert [next(taken) for _ in range(10)] == list(range(10))
        deadline = time.monotonic() + 5
        while len(made) < 14 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert 14 <= len(made) <= 15  # ten taken, four waiting, one in the hand


def test_an_error_comes_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    taken = prefetch(items(), 5)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="two"):
        next(taken)


def test_the_thread_ends_with_the_iterator() -> None:
    before = threading.active_count()
    with closing(prefetch(iter(range(10**9)), 2)) as taken:
        next(taken)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
