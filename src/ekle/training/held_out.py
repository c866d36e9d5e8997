"""The held-out text that training is watched on."""

from dataclasses import dataclass
from typing import Any

from ekle.artifacts import Corpus, read_documents
from ekle.model.bits_per_byte import Likelihood, measure


@dataclass(frozen=True)
class HeldOut:
    """Documents, and how they are read."""

    documents: list[str]
    tokenizer: Any
    context: int
    """Tokens the model sees at once."""
    batch_size: int

    def measure(self, model: Any) -> Likelihood:
        """The likelihood of all documents together."""
        return measure(
            model, self.tokenizer, self.documents, context=self.context, batch_size=self.batch_size
        )


def held_out_documents(corpus: Corpus, limit: int) -> list[str]:
    """The first documents of each genre, about `limit` bytes in all and as many of each genre.

    The document that reaches a genre's share is cut there, so that one long text does not outweigh all.
    """
    chosen = []
    for path in corpus.held_out.values():
        left = max(limit // len(corpus.held_out), 1)
        for text in read_documents(path):
            part = text.encode()[:left].decode(errors="ignore")
            if part:
                chosen.append(part)
            left -= len(text.encode())
            if left <= 0:
                break
    return chosen
