"""Stage 6: what the extension is worth, as figures and as a page."""
