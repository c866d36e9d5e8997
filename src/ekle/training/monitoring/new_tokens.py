"""How often training has read each new token, and how far its embedding row has moved.

A token that is never read keeps the row that it started with, however long the training. A token that is read
a few times keeps most of it. The training log has the shares, while there is still time to change the text;
`new_tokens.jsonl` has every token.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ekle.bpe.placeholders import is_placeholder
from ekle.files import atomic_file
from ekle.model.distributed import is_main_process
from ekle.training.checkpoints import intact
from ekle.training.monitoring.meter import Reduce

_TIMES = (1, 10, 100)  # occurrences; a row can be trusted from about a hundred on
_NEAR = 0.01  # distance from the start, over the norm of the start, below which a row counts as unmoved
_ROWS_PER_CHUNK = 4096  # rows compared at a time


class NewTokens:
    """Counts occurrences in the text trained on, and compares input rows with their start.

    Args:
        first: id of the first new token.
        start: (N, D) input rows as the extension made them, in the precision of the model; copied.
        device: where sums over processes are made.
    """

    def __init__(self, first: int, start: Tensor, device: torch.device) -> None:
        self._first, self._device = first, device
        self._start = start.detach().to("cpu", copy=True)
        self._seen = torch.zeros(len(start), dtype=torch.int64)

    def count(self, batches: Iterable[Tensor]) -> None:
        """Count the new tokens among ids (...) of any shape."""
        for ids in batches:
            new = ids[ids >= self._first].flatten().cpu() - self._first
            self._seen += torch.bincount(new, minlength=len(self._seen))

    def distances(self, rows: Tensor) -> Tensor:
        """(N,) float32: the distance of each row of (N, D) from its start, over the norm of the start."""
        found = []
        for at in range(0, len(self._start), _ROWS_PER_CHUNK):
            start = self._start[at : at + _ROWS_PER_CHUNK].float()
            moved = rows[at : at + _ROWS_PER_CHUNK].detach().cpu().float() - start
            found.append(moved.norm(dim=1) / start.norm(dim=1).clamp(min=1e-12))
        return torch.cat(found)

    def figures(self, rows: Tensor, reduce: Reduce) -> dict[str, float]:
        """Shares of the new tokens: read at least so often, by all processes; with rows near their start."""
        seen = reduce(self._seen.to(self._device)).cpu()
        shares = {f"new_tokens_seen_{times}": (seen >= times).double().mean().item() for times in _TIMES}
        return {**shares, "new_rows_near_start": (self.distances(rows) < _NEAR).double().mean().item()}

    def write(self, path: Path, rows: Tensor, texts: Iterable[str]) -> None:
        """One JSON line per token: `id`, `text`, `seen`, and `moved`, its row's distance (`distances`).

        Rows that pad the model have no token and no line.
        """
        lines = zip(texts, self._seen.tolist(), self.distances(rows).tolist(), strict=True)
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
            for number, (text, seen, moved) in enumerate(lines, start=self._first):
                if is_placeholder(text, number):
                    continue
                entry = {"id": number, "text": text, "seen": seen, "moved": round(moved, 6)}
                handle.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def gather(self, reduce: Reduce) -> None:
        """Bring the counts of all processes together in the main one, which writes the checkpoint."""
        summed = reduce(self._seen.to(self._device)).cpu()
        self._seen = summed if is_main_process() else torch.zeros_like(summed)

    def save(self, path: Path) -> None:
        """Write the counts as safetensors."""
        save_file({"seen": self._seen}, path)

    def load(self, path: Path) -> None:
        """Take what `save` wrote; the counts go to the main process.

        Raises:
            CheckpointError: the file is missing or damaged, or counts other tokens.
        """
        with intact(path.parent):
            seen = load_file(path)["seen"]
            if seen.shape != self._seen.shape:
                raise ValueError(f"it counts {len(seen):,} new tokens of {len(self._seen):,}")
        self._seen = seen if is_main_process() else torch.zeros_like(seen)
