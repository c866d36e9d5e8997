"""Stage 1, corpus: text is read, split into training and held-out text, and counted.

`stage` writes documents and conversations, `language` decides which documents are Turkish, and `count` counts
pre-tokens.
"""
