"""Sophia, AdamW and Muon over adapters and new rows; the learning rate; the gradients."""
