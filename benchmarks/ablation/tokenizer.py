"""The ablations' base tokenizer, which is Qwen's with fewer tokens, and the new tokens on top of it."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.ablation.bases import BaseFolders
from benchmarks.ablation.text import Text
from ekle.artifacts import Vocabulary, read_documents
from ekle.bpe.base import BaseTokenizer, load_base
from ekle.files import atomic_folder
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings

_KEPT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer in a folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def prepare_vocabulary(text: Text, folders: BaseFolders) -> Vocabulary:
    """Make the base's tokenizer and the new tokens, unless they are there.

    The new tokens are learned with ekle's own code.
    """
    shared = folders.shared
    if not folders.tokenizer.exists():
        documents = [
            *read_documents(text.english),
            *list(read_documents(text.base_turkish))[:: shared.tokenizer_text_every],
        ]
        base = trimmed_qwen(documents, shared.base_tokens)
        with atomic_folder(folders.tokenizer) as made:
            base.save(made)
    if not folders.vocabulary.exists():
        corpus = CorpusSettings(sources=[str(text.variant_turkish)], word_lists=[])
        settings = VocabularySettings(size=shared.new_tokens, min_count=shared.least_count, any_language=True)
        tokenizer = load_base(str(folders.tokenizer))
        assert tokenizer.rows > shared.base_tokens // 2
        try:
            learn_from_text(corpus, tokenizer.name, settings, folders.vocabulary, silent())
        except BaseException:
            shutil.rmtree(folders.vocabulary, ignore_errors=True)
            raise
    return Vocabulary(folders.vocabulary)


def trimmed_qwen(texts: Iterable[str], vocab_size: int) -> BaseTokenizer:
    """The 256 bytes, the most frequent tokens of `texts`, and all tokens that those are merged from.

    The merges are Qwen's own in Qwen's order. So a word has Qwen's tokens where all of them are kept, and
    shorter ones where not.

    Args:
        texts: the text in which tokens are counted.
        vocab_size: tokens at most, without the added tokens.
    """
    qwen = load_base("qwen3")
    vocab, merges = qwen.vocab, qwen.spec["model"]["merges"]
    parts = {left + right: (left, right) for left, right in merges}
    tokenizer = qwen.tokenizer()
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    names = {number: token for token, number in vocab.items()}
    kept = {token for token in vocab if token not in parts}  # the bytes
    for number, _ in counts.most_common():
        if number not in names:
            continue
        wanted = _with_ancestors(names[number], parts) - kept
        if len(kept) + len(wanted) > vocab_size:
            break
        kept |= wanted
    order = sorted(kept, key=lambda token: vocab[token])
    spec: dict[str, Any] = {**qwen.spec, "model": {**qwen.spec["model"]}}
    spec["model"]["vocab"] = {token: place for place, token in enumerate(order)}
    spec["model"]["merges"] = [[left, right] for left, right in merges if left + right in kept]
    added = [token for token in qwen.spec["added_tokens"] if token["content"] in _KEPT]
    spec["added_tokens"] = [{**token, "id": len(order) + place} for place, token in enumerate(added)]
    return BaseTokenizer("trimmed", spec, qwen.config, qwen.chat_template, len(order) + len(added))


def _with_ancestors(token: str, parts: dict[str, tuple[str, str]]) -> set[str]:
    """The token and everything it is merged from."""
    found, todo = set(), [token]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += parts.get(one, ())
    return found
