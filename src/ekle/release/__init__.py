"""The release stage: one folder that every Hugging Face based engine loads."""
