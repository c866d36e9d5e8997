"""What a model makes of a text: bits per byte, sampled text, checks of its logits.

`bits_per_byte` measures text, `sampling` generates it, `logits_check` tells whether both can be trusted, and
`batches` fits them into memory.
"""
