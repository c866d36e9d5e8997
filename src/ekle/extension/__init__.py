"""Stage 4, extension: embeddings for the new tokens; all else of the base stays byte for byte.

`stage` takes base and vocabulary, `extend` writes the extended model folder, `initialise` chooses the rule of
`rules` for each matrix. `compatibility` checks before, `gradient_flow` after, that the new rows can learn.
"""
