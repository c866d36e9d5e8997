"""The base vocabulary from the SDK is Qwen's, and what is grafted onto it moves nothing."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer, load_base, save_tokenizer
from ekle.bpe.graft import Merge, graft
from ekle.bpe.opening import open_tokenizer
from ekle.bpe.placeholders import placeholder
from ekle.errors import InputError, TokenizerError

MERGES = [
    Merge(b" g\xc3\xb6r\xc3\xbc\xc5\x9f", b"\xc3\xbcr"),
    Merge(b" g\xc3\xb6r\xc3\xbc\xc5\x9f\xc3\xbcr", b"\xc3\xbcz"),
]


@pytest.fixture(scope="module")
def qwen() -> BaseTokenizer:
    return load_base("qwen3")


@pytest.fixture(scope="module")
def base(qwen: BaseTokenizer) -> Tokenizer:
    return qwen.tokenizer()


@pytest.fixture(scope="module")
def extended(qwen: BaseTokenizer) -> Tokenizer:
    return open_tokenizer(graft(qwen, MERGES)[0])


def test_every_token_comes_from_exactly_one_merge(qwen: BaseTokenizer) -> None:
    assert len(qwen.vocab) == 151_643
    assert len(qwen.spec["model"]["merges"]) == 151_387
    assert len(qwen.added) == 26
    assert qwen.rows == 151_936


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello, world!", [9707, 11, 1879, 0]),
        ("<|im_start|>I'm<|im_end|>", [151644, 40, 2776, 151645]),
    ],
)
def test_known_texts_get_the_ids_that_qwen_gives_them(base: Tokenizer, text: str, ids: list[int]) -> None:
    assert base.encode(text).ids == ids


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Geliyorum eve, yarın görüşürüz.", 13),
        ("Öğrenciler için hazırlanmış materyaller.", 11),
        ("Türkiye'nin eğitim sisteminde gelişmeler.", 11),
    ],
)
def test_the_guides_sentences_have_the_lengths_that_were_measured(
    base: Tokenizer, text: str, tokens: int
) -> None:
    assert len(base.encode(text).ids) == tokens


def test_new_tokens_get_the_ids_behind_the_last_row_of_the_base(extended: Tokenizer) -> None:
    assert extended.token_to_id("<|im_end|>") == 151_645
    assert extended.token_to_id(placeholder(151_669)) == 151_669
    assert extended.token_to_id(placeholder(151_935)) == 151_935
    assert extended.encode(" görüşürüz").ids == [151_937]
    assert extended.get_vocab_size() == 151_938


def test_placeholders_are_never_produced(extended: Tokenizer) -> None:
    assert not set(range(151_669, 151_936)) & set(
        extended.encode("<|reserved_151669|> ve <|reserved_151935|>").ids
    )


def test_a_loaded_and_saved_graft_keeps_every_id(
    qwen: BaseTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("graft")
    spec, config = graft(qwen, MERGES)
    save_tokenizer(folder, spec, config, qwen.chat_template)
    again = load_base(str(folder))
    assert again.spec == spec
    assert (
        json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["tokenizer_class"]
        == "PreTrainedTokenizerFast"
    )


def test_english_is_tokenized_as_before(base: Tokenizer, extended: Tokenizer) -> None:
    for text in ("I don't know; we'll see.", "def f(x):\n    return x  # 'size'", "popular dollars"):
        assert base.encode(text).ids == extended.encode(text).ids


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_survives_encoding_and_decoding_up_to_nfc(extended: Tokenizer, text: str) -> None:
    assert extended.decode(extended.encode(text).ids, skip_special_tokens=False) == unicodedata.normalize(
        "NFC", text
    )


def test_a_merge_of_tokens_that_do_not_exist_is_refused(qwen: BaseTokenizer) -> None:
    with pytest.raises(TokenizerError, match="no earlier merge"):
        graft(qwen, [Merge(b"zqzqzq", b"xjxjxj")])


def test_a_token_that_is_half_a_character_is_refused(qwen: BaseTokenizer) -> None:
    with pytest.raises(TokenizerError, match="half a UTF-8"):
        graft(qwen, [Merge(b" ev", b"\xc5")])


def test_a_folder_without_tokenizer_json_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json"):
        load_base(str(tmp_path_factory.mktemp("empty")))


def test_a_tokenizer_that_is_not_byte_level_bpe_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("wordpiece")
    (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}', "utf-8")
    with pytest.raises(TokenizerError, match="byte-level BPE"):
        load_base(str(folder))


def test_a_base_that_is_neither_folder_nor_hub_id_is_refused() -> None:
    with pytest.raises(InputError, match="there is no folder"):
        load_base("./no/such/folder")
