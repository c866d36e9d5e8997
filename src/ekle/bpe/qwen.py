"""Qwen's own tokenizer, rebuilt without a model hub.

The `dashscope` package (Alibaba's SDK) carries the vocabulary as ranks: a token's rank is its id.
BPE needs merges instead. A token of rank r was made by joining two tokens when only the ranks below
r existed, so BPE on its bytes with those ranks leaves exactly the two: one merge per token, 151,387 in
all.
"""

import base64
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from ekle.bpe.byte_alphabet import encode_bytes
from ekle.errors import TokenizerError

EMBEDDING_ROWS = 151_936
"""Rows of Qwen3's embedding matrix; ids 151,669 upwards are padding without a token."""

WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen's pre-tokenizer: a contraction, a word with the character before it, a digit, punctuation, space."""

# Split strings, because one name per line would push what matters off the page.
_SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
_PLAIN = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> "
    "<|file_sep|> <tool_response> </tool_response> <think> </think>"
).split()


def qwen_tokenizer() -> dict[str, Any]:
    """The content of Qwen3's tokenizer.json.

    Raises:
        TokenizerError: the `dashscope` package is not installed or no longer carries the vocabulary.
    """
    ranks = _ranks()
    vocab = {encode_bytes(token): rank for token, rank in ranks.items()}
    merges = [[encode_bytes(left), encode_bytes(right)] for left, right in recover_merges(ranks)]
    added = [
        {
            "id": len(ranks) + offset,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": content in _SPECIAL,
        }
        for offset, content in enumerate(_SPECIAL + _PLAIN)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": dict(byte_level),
        "decoder": dict(byte_level),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def qwen_config() -> dict[str, Any]:
    """The content of tokenizer_config.json that goes with `qwen_tokenizer`."""
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }


def chat_template() -> str:
    """A chat template in Qwen3's conversation format, for a base that brings none of its own."""
    return (resources.files("ekle.bpe") / "data" / "chatml.jinja").read_text(encoding="utf-8")


def recover_merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merge that made each token of two bytes or more, in rank order.

    Raises:
        TokenizerError: some token cannot be made by one merge of earlier tokens.
    """
    merges: list[tuple[bytes, bytes]] = []
    known: set[bytes] = set()
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            parts = _only_split(token, known) or _split_below(token, rank, ranks)
            if len(parts) != 2:
                raise TokenizerError(
                    f"token {rank} of the base vocabulary is not made by one merge: {token!r}"
                )
            merges.append((parts[0], parts[1]))
        known.add(token)
    return merges


def _only_split(token: bytes, known: set[bytes]) -> list[bytes] | None:
    """The two known tokens that `token` consists of, if there is only one way, as for most tokens."""
    found: list[bytes] | None = None
    for at in range(1, len(token)):
        if token[:at] in known and token[at:] in known:
            if found:
                return None
            found = [token[:at], token[at:]]
    return found


def _split_below(token: bytes, limit: int, ranks: dict[bytes, int]) -> list[bytes]:
    """BPE on `token` with the ranks below `limit` only."""
    parts = [token[at : at + 1] for at in range(len(token))]
    get = ranks.get
    while len(parts) > 2:
        best, where = limit, -1
        for at in range(len(parts) - 1):
            rank = get(parts[at] + parts[at + 1], limit)
            if rank < best:
                best, where = rank, at
        if where < 0:
            break
        parts[where : where + 2] = [parts[where] + parts[where + 1]]
    return parts


@cache
def _ranks() -> dict[bytes, int]:
    try:
        path = Path(str(metadata.distribution("dashscope").locate_file("dashscope/resources/qwen.tiktoken")))
        lines = path.read_bytes().splitlines()
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise TokenizerError(
            "the Qwen vocabulary is in the `dashscope` package, which is missing: pip install dashscope"
        ) from error
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
