"""The training log: one JSON line per logged step, evaluation, skipped step and rollback.

Logged step:
    `step`, and `steps`, the number of steps planned;
    `loss_per_token`, `bits_per_byte`: of the text trained on since the line before; absent if every step
        since then was skipped;
    `grad_norm` before clipping, `learning_rate`, `rows_learning_rate`, `clipped_share` (Sophia);
    `update_to_weight_matrices`, `_magnitudes`, `_rows`: norm of the step's update over the norm of the
        weights (`ekle.training.monitoring.log_line`);
    `new_row_norm`: mean norm of the new input rows;
    `new_tokens_seen_1`, `_10`, `_100`: share of the new tokens that were read at least so often;
    `new_rows_near_start`: share whose input row has moved by less than 1 % of its norm
        (`ekle.training.monitoring.new_tokens`);
    `tokens_per_second`, `bytes_per_second`, `tokens`, `NAME_tokens` of each source, `seconds`;
    `flops`: floating-point operations so far (`ekle.planning.flops`), with those of learning the new rows and
        of the alignment; absent for a kind of model whose operations are not counted;
    `text_bytes`: of the text learned from so far, in UTF-8;
    `memory_bytes` (the peak so far), `memory_in_use`, `memory_slope` in bytes per step
        (`ekle.training.monitoring.memory_leak`).
Evaluation: `step`, `held_out_bits_per_byte`, `held_out_loss_per_token`, `held_out_tokens`, `held_out_bytes`,
`flops`, `text_bytes`.
Skipped step: `step`, `skipped` (why). Rollback: `step` (the first that is made again), `rolled_back_from`,
`because`, `rate_factor` (of the learning rate from here on).

The evaluation stage copies the whole log into `training.extended` of its report.json.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ekle.files import atomic_file


class TrainingLog:
    """`history.jsonl` of one run; `listener` receives every line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener: Callable[[dict[str, Any]], object] | None = None

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line and hand it to the system, so that it outlives this process; then call the listener."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
        if self.listener is not None:
            self.listener(entry)

    def truncate(self, step: int) -> None:
        """Forget what was logged after `step`, and a line that a killed process left incomplete."""
        kept = [entry for entry in self._entries() if entry["step"] <= step]
        with atomic_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), "utf-8")

    def _entries(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text("utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                break  # only the last line can be incomplete
        return entries
