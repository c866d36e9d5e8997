"""Stage 3: adapters and new rows learn from Turkish text."""
