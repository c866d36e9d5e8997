"""Stage 7, release: one folder that every Hugging Face based engine loads."""
