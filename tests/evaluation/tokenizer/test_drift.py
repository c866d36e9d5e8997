"""Other languages: only tokenizers that spell alike are held against each other."""

from pathlib import Path

import pytest
from tiny import ENGLISH
from tokenizers import Tokenizer, decoders

from ekle.evaluation.run import evaluate_folder
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings


@pytest.mark.parametrize("spells_bytes", [True, False])
def test_tokens_in_another_spelling_are_not_called_changed(
    spells_bytes: bool, tiny_base: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    if not spells_bytes:
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(own / "tokenizer.json"))
    (tmp_path / "en.txt").write_text("\n".join(ENGLISH), "utf-8")
    figures = evaluate_folder(
        own,
        tiny_base,
        {},
        EvaluationSettings(resamples=20),
        tmp_path / "out",
        silent(),
        {"english": tmp_path / "en.txt"},
    ).report.dump()
    assert ("drift" in figures) is spells_bytes
