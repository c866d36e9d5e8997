"""Counting pre-tokens, from which the vocabulary is learned, in text of any size."""

from ekle.counting.counts import Counts
from ekle.counting.documents import count_documents

__all__ = ["Counts", "count_documents"]
