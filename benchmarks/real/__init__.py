"""Benchmarks on real models, which packages of PyPI hold as GGUF files."""
