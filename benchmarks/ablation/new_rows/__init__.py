"""Ablation: ways to start and to train new embedding rows, on small bases with equal compute."""
