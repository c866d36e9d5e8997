"""Adding tokens and their merges to a byte-level BPE tokenizer without moving an id.

Every id of the base stays as it is. Between the last token of the base and its last embedding row there may
be a hole (267 rows in Qwen3). It is filled with placeholders, because otherwise `len(tokenizer)`, the highest
id plus one and the number of rows disagree: `resize_token_embeddings` would remove rows, and `add_tokens`
would hand out ids inside the hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import encode_bytes, token_text
from ekle.bpe.placeholders import placeholder
from ekle.bpe.special_tokens import portable_config
from ekle.errors import TokenizerError


@dataclass(frozen=True)
class Merge:
    """Two neighbouring tokens that become one; all three are raw bytes."""

    left: bytes
    right: bytes

    @property
    def token(self) -> bytes:
        """The bytes of the token they become."""
        return self.left + self.right


def graft(
    base: BaseTokenizer, merges: Sequence[Merge], pre_tokenizer: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The extended tokenizer as (tokenizer.json, tokenizer_config.json).

    Args:
        base: the tokenizer to extend.
        merges: new merges in the order in which they apply; each may use the tokens of those before
            it. A merge whose token the base already has gives no new id.
        pre_tokenizer: replaces the base's, where the profile needs another.

    Raises:
        TokenizerError: a merge uses a token that does not exist yet, makes half a character, or is there
            twice.
    """
    model = base.spec["model"]
    vocab: dict[str, int] = dict(model["vocab"])
    spec = {**base.spec, "model": {**model, "vocab": vocab, "merges": list(model["merges"])}}
    _fill_hole(base, vocab)
    next_id = base.rows
    seen: set[tuple[str, str]] = set()
    lines: list[list[str]] = []
    for merge in merges:
        left, right, token = encode_bytes(merge.left), encode_bytes(merge.right), encode_bytes(merge.token)
        if left not in vocab or right not in vocab:
            raise TokenizerError(
                f"merge {merge.left!r} + {merge.right!r} uses a token that no earlier merge makes"
            )
        if (left, right) in seen:
            raise TokenizerError(f"merge {merge.left!r} + {merge.right!r} is there twice")
        seen.add((left, right))
        lines.append([left, right])
        if token not in vocab:
            if token_text(merge.token) is None:
                raise TokenizerError(f"token {merge.token!r} is half a UTF-8 character")
            vocab[token] = next_id
            next_id += 1
    old_style = bool(spec["model"]["merges"]) and isinstance(spec["model"]["merges"][0], str)
    spec["model"]["merges"].extend([" ".join(line) for line in lines] if old_style else lines)
    if pre_tokenizer is not None:
        spec["pre_tokenizer"] = pre_tokenizer
    config, _ = portable_config(base.config, vocab)
    return spec, config


def with_rows(spec: dict[str, Any], rows: int) -> dict[str, Any]:
    """An extended tokenizer.json with a placeholder for each id below `rows` that has no token."""
    vocab = dict(spec["model"]["vocab"])
    _fill(vocab, rows)
    return {**spec, "model": {**spec["model"], "vocab": vocab}}


def _fill_hole(base: BaseTokenizer, vocab: dict[str, int]) -> None:
    """Give every row below `base.rows` a name in `vocab`, added tokens included.

    `tokenizers` renumbers added tokens that are in the added_tokens list alone as soon as `vocab` grows past
    them, so they are entered in `vocab` too.
    """
    for content, number in base.added.items():
        if vocab.setdefault(content, number) != number:
            raise TokenizerError(f"the base gives {content} two ids, {vocab[content]} and {number}")
    _fill(vocab, base.rows)


def _fill(vocab: dict[str, int], rows: int) -> None:
    taken = set(vocab.values())
    for number in range(rows):
        if number not in taken:
            vocab[placeholder(number)] = number


def base_token_ids(spec: dict[str, Any], first: int) -> dict[int, list[int]]:
    """For each token from id `first` on, the ids below `first` that its merges join, in order.

    Where the vocabulary was learned on top of the base's tokens, these are the ids that the base gives for
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
            token_id for part in (left, right) for token_id in found.get(vocab[part], [vocab[part]])
        ]
    return found
