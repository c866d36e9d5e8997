"""The corpus stage: text is read, split and counted."""
