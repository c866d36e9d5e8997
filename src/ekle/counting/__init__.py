"""Counting in text of any size: pre-tokens to learn a vocabulary from, and runs of words that texts share."""

from ekle.counting.counts import Counts
from ekle.counting.documents import count_documents

__all__ = ["Counts", "count_documents"]
