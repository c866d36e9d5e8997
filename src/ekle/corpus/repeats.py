"""Lines that stand in the text again and again: noticed while reading, and counted a limited number of times.

A page footer on a million pages would give its words, and the joints between them, a million occurrences
each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

_CELLS = 1 << 24  # counters of one byte; 32 MB in all, whatever the size of the text
_SHORT = 5


@dataclass
class Repeats:
    """Passes texts on, without the lines that have passed `limit` times already.

    Lines of fewer than five words pass always: "Evet." is repeated because people say it, and a line so
    short can win no more than a handful of tokens. Lines are recognised by two counters at places that a
    digest names (a count-min sketch, Cormode and Muthukrishnan 2005), so memory does not grow with the text;
    two lines are taken for one another about once in ten million where there are ten million different ones.
    """

    limit: int
    bytes_seen: int = 0
    bytes_left_out: int = 0
    lines_left_out: int = 0
    _cells: tuple[bytearray, bytearray] = field(
        default_factory=lambda: (bytearray(_CELLS), bytearray(_CELLS))
    )

    def pass_on(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts without lines over the limit; a text that holds nothing else is left out."""
        if not self.limit:
            yield from texts
            return
        for text in texts:
            lines = text.split("\n")
            kept = [line for line in lines if self._passes(line)]
            if len(kept) == len(lines):
                yield text
            elif any(line.strip() for line in kept):
                yield "\n".join(kept)

    def summary(self) -> dict[str, float | int]:
        """How much was left out."""
        share = self.bytes_left_out / self.bytes_seen if self.bytes_seen else 0.0
        return {"limit": self.limit, "lines_left_out": self.lines_left_out, "share_left_out": share}

    def _passes(self, line: str) -> bool:
        raw = line.encode("utf-8")
        self.bytes_seen += len(raw)
        if line.count(" ") < _SHORT - 1:
            return True
        digest = int.from_bytes(blake2b(raw, digest_size=8).digest(), "big")
        one, other = digest % _CELLS, (digest >> 32) % _CELLS
        cells, others = self._cells
        if min(cells[one], others[other]) >= self.limit:
            self.bytes_left_out += len(raw)
            self.lines_left_out += 1
            return False
        cells[one] = min(cells[one] + 1, 255)
        others[other] = min(others[other] + 1, 255)
        return True
