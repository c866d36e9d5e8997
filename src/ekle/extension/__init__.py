"""The extension stage (4): embeddings for the new tokens; all else of the base stays byte for byte."""
