"""Ablations on small Qwen3 bases: one package for each question; what they share is here."""
