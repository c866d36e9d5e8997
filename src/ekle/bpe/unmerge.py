"""The way back from a new token to the base pieces that it was merged from."""

from typing import Any


def base_pieces(spec: dict[str, Any], first: int) -> dict[int, list[int]]:
    """For each token from id `first` on, the ids below `first` that its merges join, in order.

    Where the vocabulary was learned on top of the base's cut, these are the pieces into which the base cuts
    the token's text.

    Args:
        spec: the content of an extended tokenizer.json.
        first: id of the first new token.
    """
    vocab: dict[str, int] = spec["model"]["vocab"]
    parts: dict[str, tuple[str, str]] = {}
    for merge in spec["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        if vocab[left + right] >= first:
            parts.setdefault(left + right, (left, right))
    found: dict[int, list[int]] = {}
    for token, (left, right) in parts.items():  # a merge uses only tokens of merges before it
        found[vocab[token]] = [
            piece for part in (left, right) for piece in found.get(vocab[part], [vocab[part]])
        ]
    return found
