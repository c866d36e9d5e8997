"""Counting pre-tokens: what the vocabulary is learned from, whatever the size of the text."""

from ekle.counting.count import count_documents
from ekle.counting.counts import Counts

__all__ = ["Counts", "count_documents"]
