"""Whether a vocabulary and a model fit together; checked before anything is written."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ekle.artifacts import NewToken, Vocabulary
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.opening import check_byte_level_bpe, read_specification
from ekle.bpe.placeholders import is_placeholder
from ekle.errors import CheckpointError, InputError
from ekle.model.checkpoint.loading import check_complete, superfluous_head
from ekle.model.checkpoint.weights import OUTPUT_EMBEDDINGS, Weights, check_embedding_rows
from ekle.model.row_statistics import used_ids


@dataclass(frozen=True)
class Compatibility:
    """What the check found.

    Attributes:
        used_ids: ids of the base rows that have a token.
        base_token_bytes: the bytes of each base token, by id; without added tokens.
        dropped: tensors to leave out of the extended model.
    """

    used_ids: Tensor
    base_token_bytes: dict[int, bytes]
    dropped: frozenset[str]


def check_compatibility(vocabulary: Vocabulary, weights: Weights) -> Compatibility:
    """Compare the vocabulary with the base model that it is to extend.

    Raises:
        CheckpointError: the embedding matrices are damaged or do not have the rows that the vocabulary was
            learned for, a tensor that config.json implies is missing or of another shape, or config.json and
            weights disagree on whether both ends are one matrix.
        TokenizerError: the tokenizer of either folder is damaged, or no byte-level BPE.
        InputError: the tokenizer in the base's folder gives a token another id, or the vocabulary's ids have
            gaps, or a new token is not made of tokens of the base.
    """
    first, base = vocabulary.first_new_id, weights.folder
    tokens = vocabulary.tokens()
    ids = [token.id for token in tokens]
    if not ids or ids != list(range(first, first + len(ids))):
        raise InputError(f"the ids in {vocabulary.folder} do not continue from {first:,}; learn it again")
    check_embedding_rows(weights, first, f"learn the vocabulary with ekle vocab --base {base}")
    for name in weights.names():
        if name.startswith("lm_head.") and name != OUTPUT_EMBEDDINGS:
            raise CheckpointError(f"{base} has {name} in its output layer; ekle extends Qwen3-like models")
    ids_by_token = _ids(vocabulary.tokenizer)
    used = used_ids(ids_by_token, first)
    taken = set(used.tolist())
    _check_base_tokens(vocabulary.folder, tokens, taken)
    if (base / "tokenizer.json").exists():
        for token, number in _ids(base).items():
            found = ids_by_token.get(token)
            unnamed = is_placeholder(token, number) and number not in taken  # under another name there
            if found != number and not unnamed:
                raise InputError(
                    f"{base} gives {token!r} the id {number}, {vocabulary.folder} gives it {found}; "
                    f"learn the vocabulary with ekle vocab --base {base}"
                )
    dropped = superfluous_head(weights)
    check_complete(weights)
    return Compatibility(used, _token_bytes(vocabulary, first), dropped)


def _check_base_tokens(folder: Path, tokens: Sequence[NewToken], used: Collection[int]) -> None:
    """See that each new token names the base tokens that it stands for, which every rule starts from."""
    for token in tokens:
        named = token.base_tokens
        wrong = [number for number in named if number not in used] if isinstance(named, list) else []
        if isinstance(named, list) and named and not wrong:
            continue
        fault = f"the base token {wrong[0]}, which the base does not have" if wrong else "no base tokens"
        raise InputError(
            f"{folder / 'tokens.jsonl'}: {token.text!r} names {fault}; learn the vocabulary again"
        )


def _ids(folder: Path) -> dict[str, int]:
    """The id of every token in a tokenizer.json, added tokens included; raises TokenizerError."""
    spec = read_specification(folder / "tokenizer.json")
    check_byte_level_bpe(str(folder), spec)
    return {**spec["model"]["vocab"], **{token["content"]: token["id"] for token in spec["added_tokens"]}}


def _token_bytes(vocabulary: Vocabulary, first: int) -> dict[int, bytes]:
    """The bytes of each base token; added tokens and placeholders have none."""
    spec = read_specification(vocabulary.tokenizer / "tokenizer.json")
    left_out = {token["content"] for token in spec["added_tokens"]}
    found: dict[int, bytes] = {}
    for token, number in spec["model"]["vocab"].items():
        if number < first and token not in left_out and not is_placeholder(token, number):
            found[number] = decode_token(token)
    return found
