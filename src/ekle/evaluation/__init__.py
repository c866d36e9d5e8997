"""Stage 6, evaluation: what the extension is worth, as figures and as a page."""
