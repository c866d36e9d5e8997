"""Stage 2: embedding rows for the new tokens, everything else byte for byte."""
