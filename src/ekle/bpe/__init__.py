"""Byte-level BPE: the base vocabulary, continued learning, and the graft into tokenizer.json."""
