"""What several stages need of a model: checkpoints, adapters and new rows, the loss, scoring.

`checkpoint` has the files, `layers` what is put into a model, `scoring` what is computed with it. `device`
and `distributed` are about where tensors are, `encoding` about the ids that a model reads, `row_statistics`
about its embedding rows, and `chunk_sizes` about memory.
"""
