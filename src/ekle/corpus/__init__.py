"""Stage 1, corpus: text is read, split into training and held-out text, and counted.

`stage` writes the documents, `language` decides which are Turkish, `instructions` reads conversations, and
`count` counts pre-tokens.
"""
