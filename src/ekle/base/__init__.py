"""Stage 3, base: the model that is to learn Turkish, as a folder.

`stage` finds the model or downloads it, `tiny` trains the one of the quickstart.
"""
