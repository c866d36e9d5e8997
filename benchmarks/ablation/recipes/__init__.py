"""Ablation: the guide's recipe against the recommended one, trained by `ekle train` on a small base."""
