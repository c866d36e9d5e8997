"""Benchmarks on real models: a Qwen, on which quality is judged, and SmolLM2, which is none."""
