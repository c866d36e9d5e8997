"""Stage 1: which tokens to add, and the evidence for each."""
