"""How much of a large product is in memory at a time; without torch, so that plans can count with it."""

WEIGHTS_PER_CHUNK = 2**23
"""Numbers of W + s B A in a chunk, when norms are computed: 32 MB in float32."""

LOGITS_PER_CHUNK = {"cpu": 2**23, "cuda": 2**27}
"""Logits in a chunk, by type of device. On a CPU 32 MB in float32: more does not stay in its cache and is
slower. On a GPU 0.8 GB with the copy in half precision: 780 tokens at 171,936 rows are still a product of a
teraflop, and with twice that Qwen3-8B might not fit 40 GB."""


def chunk_tokens(rows: int, device: str) -> int:
    """Tokens in a chunk of logits over `rows` embedding rows, on a device of type "cpu" or "cuda"."""
    return max(LOGITS_PER_CHUNK["cpu" if device == "cpu" else "cuda"] // rows, 16)
