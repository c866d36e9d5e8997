"""Stage 2: which tokens to add, and the evidence for each."""
