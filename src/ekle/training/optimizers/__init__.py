"""Sophia, AdamW and Muon over adapters and new rows; the learning rate.

`make` chooses the optimiser and the schedule of its rate, `sophia` and `muon` are those that PyTorch lacks.
"""
