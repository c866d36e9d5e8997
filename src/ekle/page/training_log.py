"""The training log in a few words: for the bar, `ekle status` and the report. Knows no tensor library."""

from collections.abc import Mapping, Sequence
from typing import Any

from ekle.page.formatting import counted, percent, size

Entry = Mapping[str, Any]


def step_summary(line: Entry) -> str:
    """A logged step: "loss 2.345, 0.812 bits per byte, 12,345 tokens/s, lr 1e-04, 62 % clipped, 34.1 GB".

    What the line does not have is left out; empty where every step since the line before was skipped.
    """
    return _summary_line(line, "tokens/s", "lr", "clipped", "")


def _summary_line(line: Entry, a_second: str, rate: str, clipped: str, of_memory: str) -> str:
    if "loss_per_token" not in line:
        return ""
    parts = [f"loss {line['loss_per_token']:.3f}", f"{line['bits_per_byte']:.3f} bits per byte"]
    if "tokens_per_second" in line:
        parts.append(f"{line['tokens_per_second']:,.0f} {a_second}")
    if "learning_rate" in line:
        parts.append(f"{rate} {line['learning_rate']:.1e}")
    if "clipped_share" in line:
        parts.append(f"{percent(line['clipped_share'], 0)} {clipped}")
    if "memory_in_use" in line:
        parts.append(f"{size(line['memory_in_use'])}{of_memory}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """ "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def training_summary(history: Sequence[Entry]) -> dict[str, str]:
    """What a whole log says, by the subject it speaks of; subjects of which it says nothing are absent."""
    steps = [entry for entry in history if "loss_per_token" in entry]
    measured = [entry for entry in history if "held_out_bits_per_byte" in entry]
    said: dict[str, str] = {}
    if steps:
        last = steps[-1]
        said["step"] = f"{last['step']:,}{_of(steps)}"
        said["last line"] = _summary_line(
            last, "tokens per second", "learning rate", "of updates clipped", " of memory"
        )
        if "memory_slope" in last:
            said["memory"] = f"{last['memory_slope'] / 1e6:+,.2f} MB per step"
    if measured:
        best = min(measured, key=lambda entry: float(entry["held_out_bits_per_byte"]))
        first, newest = (measured[at]["held_out_bits_per_byte"] for at in (0, -1))
        said["held out"] = f"from {first:.4f} to {newest:.4f} bits per byte, best at step {best['step']:,}"
    if steps and "new_tokens_seen_1" in steps[-1]:
        said["new tokens"] = _new_tokens(steps[-1])
    if trouble := _trouble(history):
        said["trouble"] = trouble
    return said


def _of(steps: Sequence[Entry]) -> str:
    """How far it is: " of 2,000, 3 h 20 min of steps to go"."""
    last = steps[-1]
    if "steps" not in last:
        return ""
    left = last["steps"] - last["step"]
    if not left:
        return f" of {last['steps']:,}"
    return f" of {last['steps']:,}, {duration(left * last['seconds'] / last['step'])} of steps to go"


def _new_tokens(line: Entry) -> str:
    shares = [f"{percent(line[f'new_tokens_seen_{times}'])} {times:,} times" for times in (10, 100)]
    return (
        f"{percent(line['new_tokens_seen_1'])} seen, {', '.join(shares)} or more; "
        f"{percent(line['new_rows_near_start'])} of the rows still near their start"
    )


def _trouble(history: Sequence[Entry]) -> str:
    skipped = sum("skipped" in entry for entry in history)
    # The second name is that of 0.1.
    rollbacks = sum("rolled_back_from" in entry or "went_back_from" in entry for entry in history)
    parts = [f"{counted(skipped, 'step')} skipped"] if skipped else []
    return ", ".join([*parts, counted(rollbacks, "rollback")] if rollbacks else parts)
