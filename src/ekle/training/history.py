"""The training log: one JSON line a logged step, one an evaluation, one a skipped step.

Logged step: `step`, `loss_per_token`, `bits_per_byte` (both of the text trained on since the line
before), `grad_norm`, `learning_rate`, `rows_learning_rate`, `clipped_share` (Sophia), `new_row_norm`,
`tokens_per_second`, `bytes_per_second`, `memory_bytes`, `tokens` (read since the beginning), the same of each
source (`turkish_tokens`, `replay_tokens`, `instructions_tokens`), `seconds`.
Evaluation: `step`, `held_out_bits_per_byte`, `held_out_loss_per_token`, `held_out_tokens`,
`held_out_bytes`. Skipped step: `step`, `skipped` (why).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ekle.files import whole_file


class History:
    """`history.jsonl` of one run; `listener` hears of every line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener: Callable[[dict[str, Any]], object] | None = None

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line and hand it to the system, so that it outlives this process; then tell the listener."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
        if self.listener is not None:
            self.listener(entry)

    def cut(self, step: int) -> None:
        """Forget what was logged after `step`, and a line that a killed process left half written."""
        kept = [entry for entry in self._entries() if entry["step"] <= step]
        with whole_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), "utf-8")

    def _entries(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text("utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                break  # only the last line can be cut short
        return entries
