"""Counting on Ray Data gives what counting without it gives."""

from pathlib import Path

import pytest

from ekle.bpe.base import load_base
from ekle.counting import count_documents
from ekle.counting.on_ray import count_on_ray
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.text.documents import documents


@pytest.mark.parametrize("pre_tokenization", ["joined", "apostrophe", "base"])
def test_files_counted_on_ray_add_up_to_the_plain_count(
    tmp_path: Path, pre_tokenization: PreTokenizationKind
) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    for number in range(3):
        text = f"Evler ve ağaçlar için {number} gün.\nBunu o da bilir, bu çok iyi.\n" * (number + 1)
        (tmp_path / f"{number}.txt").write_text(text, "utf-8")
    ray.init(num_cpus=2, ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
    try:
        got = count_on_ray([str(tmp_path)], "qwen3", pre_tokenization=pre_tokenization)
    finally:
        ray.shutdown()
    texts = [document.text for document in documents([str(tmp_path)])]
    want = count_documents(texts, load_base("qwen3"), silent(), pre_tokenization=pre_tokenization)
    assert dict(got.table.iter_rows()) == dict(want.table.iter_rows())
    assert (got.base, got.documents, got.text_bytes, got.pre_tokenization) == (
        *(want.base, want.documents, want.text_bytes, pre_tokenization),
    )
