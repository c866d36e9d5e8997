"""How much of a large product is held at once; without torch, so that plans can count with it."""

WEIGHTS_PER_CHUNK = 2**23
"""Numbers of W + s B A that a norm looks at together: 32 MB in float32."""

LOGITS_PER_CHUNK = {"cpu": 2**23, "cuda": 2**27}
"""Logits at once. On a processor 32 MB in float32: more leaves its cache and is slower. On a GPU 0.8 GB with
the copy in half precision: 780 tokens at 171,936 rows still make a product of a teraflop, and twice that
would decide whether Qwen3-8B fits 40 GB."""


def chunk_tokens(rows: int, device: str) -> int:
    """Tokens whose logits over `rows` are held at once, on a device of type "cpu" or "cuda"."""
    return max(LOGITS_PER_CHUNK["cpu" if device == "cpu" else "cuda"] // rows, 16)
