"""Stage 1: text is read, split into training and held-out text, and counted."""
