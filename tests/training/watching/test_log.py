"""History, watch and meter."""

import json
from pathlib import Path

import pytest
import torch

from ekle.training.objective import Tally
from ekle.training.watching.history import History
from ekle.training.watching.meter import Meter
from ekle.training.watching.patience import Watch


def test_what_was_logged_after_a_checkpoint_is_forgotten(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    for step in (1, 2, 3, 4):
        history.append({"step": step})
    with history.path.open("a", encoding="utf-8") as handle:
        handle.write('{"step": 5, "lo')  # cut short by a kill
    history.cut(2)
    history.append({"step": 3})
    lines = history.path.read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


def test_a_history_that_is_not_there_is_empty(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.cut(-1)
    assert history.path.read_text("utf-8") == ""


def test_patience_counts_evaluations_since_the_best() -> None:
    watch = Watch(patience=2)
    seen = [watch.see(step, value) for step, value in enumerate([3.0, 2.0, 2.5, 2.0])]
    assert seen == [True, True, False, False]
    assert (watch.best, watch.best_step) == (2.0, 1)
    assert watch.is_over
    assert not Watch(patience=0, waited=99).is_over


def tally(nats: float, tokens: int, text_nats: float, text_bytes: int) -> Tally:
    return Tally(*(torch.tensor(value) for value in (nats, tokens, text_nats, text_bytes, tokens)))


def test_figures_are_those_of_the_steps_since_the_last_reading() -> None:
    meter = Meter(torch.device("cpu"))
    for part in (tally(8.0, 4, 6.0, 10), tally(2.0, 4, 2.0, 6)):
        meter.begin_step()
        meter.add(tally(99.0, 99, 99.0, 99))
        meter.forget_step()  # out of memory; the step is repeated
        meter.add(part)
        meter.end_step(counts=True)
    meter.begin_step()
    meter.add(tally(float("nan"), 4, float("nan"), 8))
    meter.end_step(counts=False)  # skipped
    figures = meter.read(lambda values: values)
    assert figures["loss_per_token"] == pytest.approx(10 / 8)
    assert figures["bits_per_byte"] == pytest.approx(8 / 16 / 0.6931472)
    assert "loss_per_token" not in meter.read(lambda values: values)


def test_the_sums_of_half_a_line_lie_in_a_checkpoint() -> None:
    whole, first, second = (Meter(torch.device("cpu")) for _ in range(3))
    for part in (tally(1 / 3, 4, 0.1, 10), tally(2.7, 4, 0.2, 6)):
        for meter in (whole, first):
            meter.begin_step()
            meter.add(part)
            meter.end_step(counts=True)
        if meter is first:
            second.load_state_dict(json.loads(json.dumps(first.state_dict())), first=True)
            first = second
    figures = [meter.read(lambda values: values) for meter in (whole, second)]
    for name in ("loss_per_token", "bits_per_byte"):
        assert figures[0][name] == figures[1][name], "to the last bit"
