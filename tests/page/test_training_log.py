"""The training log in a few words."""

from typing import Any

from ekle.page.training_log import duration, step_summary, training_summary

LINE: dict[str, Any] = {
    "step": 500,
    "steps": 2000,
    "loss_per_token": 2.3456,
    "bits_per_byte": 0.8123,
    "tokens_per_second": 12345.6,
    "learning_rate": 1e-4,
    "clipped_share": 0.62,
    "memory_in_use": 34_100_000_000,
    "memory_slope": 120_000.0,
    "seconds": 3600.0,
    "new_tokens_seen_1": 0.98,
    "new_tokens_seen_10": 0.9,
    "new_tokens_seen_100": 0.6,
    "new_rows_near_start": 0.04,
}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_line_is_brief_and_leaves_out_what_it_does_not_know() -> None:
    assert plain(step_summary(LINE)) == (
        "loss 2.346, 0.812 bits per byte, 12,346 tokens/s, lr 1.0e-04, 62 % clipped, 34.1 GB"
    )
    few = {key: LINE[key] for key in ("loss_per_token", "bits_per_byte", "tokens_per_second")}
    assert step_summary(few) == "loss 2.346, 0.812 bits per byte, 12,346 tokens/s"
    assert step_summary({"step": 3, "seconds": 9.0}) == "", "every step since the line before was skipped"


def test_an_overview_says_how_far_how_well_and_what_went_wrong() -> None:
    history = [
        {"step": 0, "held_out_bits_per_byte": 0.95},
        {"step": 250, "held_out_bits_per_byte": 0.85},
        {"step": 300, "skipped": "its loss is nan"},
        {"step": 301, "rolled_back_from": 320},
        LINE,
        {"step": 500, "held_out_bits_per_byte": 0.86},
    ]
    said = {subject: plain(text) for subject, text in training_summary(history).items()}
    assert said["step"] == "500 of 2,000, 3 h 0 min of steps to go"
    assert said["last line"] == (
        "loss 2.346, 0.812 bits per byte, 12,346 tokens per second, learning rate 1.0e-04, "
        "62 % of updates clipped, 34.1 GB of memory"
    )
    assert said["memory"] == "+0.12 MB per step"
    assert said["held out"] == "from 0.9500 to 0.8600 bits per byte, best at step 250"
    assert said["new tokens"] == (
        "98.0 % seen, 90.0 % 10 times, 60.0 % 100 times or more; 4.0 % of the rows still near their start"
    )
    assert said["trouble"] == "1 step skipped, 1 rollback"
    history[3] = {"step": 301, "went_back_from": 320}  # as 0.1 wrote it
    assert plain(training_summary(history)["trouble"]) == "1 step skipped, 1 rollback"


def test_an_empty_log_says_nothing() -> None:
    assert training_summary([]) == {}


def test_durations_are_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (45, 720, 12_000)] == ["45 s", "12 min", "3 h 20 min"]
