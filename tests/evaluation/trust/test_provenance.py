"""What a report calls what it measured."""

from pathlib import Path

import pytest

from ekle.evaluation.texts import describe_text
from ekle.evaluation.trust.provenance import place_name


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("plain", "plain"),
        ("run/7-release/model", "run/7-release/model"),
        ("run/2-vocabulary/tokenizer", "run/2-vocabulary/tokenizer"),
        ("models--Qwen--Qwen3-8B/snapshots/ab12", "models--Qwen--Qwen3-8B/snapshots/ab12"),
    ],
)
def test_a_folder_is_called_by_its_name_and_not_by_where_it_lies(
    place: str, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere" / place
    folder.mkdir(parents=True)
    assert place_name(folder) == name


def test_a_hub_id_is_a_name_and_a_folder_that_is_gone_has_one(tmp_path: Path) -> None:
    assert place_name("Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"
    assert place_name(str(tmp_path / "Qwen3-8B")) == "Qwen3-8B"


def test_the_digest_of_a_text_knows_where_documents_end() -> None:
    first, second = describe_text(["ab", "c"]), describe_text(["a", "bc"])
    assert (first.documents, first.bytes) == (second.documents, second.bytes)
    assert first.sha256 != second.sha256
