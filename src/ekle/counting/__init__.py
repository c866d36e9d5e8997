"""Counting pre-tokens: what the vocabulary is learned from, whatever the size of the text."""

from ekle.counting.counts import Counts
from ekle.counting.documents import count_documents

__all__ = ["Counts", "count_documents"]
