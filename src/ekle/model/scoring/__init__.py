"""What a model makes of a text: bits per byte, sampled text, checks of its logits."""
