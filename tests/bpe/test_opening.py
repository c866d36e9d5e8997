"""A tokenizer from anywhere is opened plainly, or refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import byte_level
from tokenizers import Tokenizer, models, pre_tokenizers

from ekle.bpe.base import load_base, load_tokenizer
from ekle.bpe.byte_alphabet import byte_to_char
from ekle.bpe.graft import graft
from ekle.bpe.measure import count_tokens
from ekle.bpe.opening import open_tokenizer
from ekle.bpe.segmentation import added_tokens, list_changes
from ekle.errors import EkleError, TokenizerError

Spec = dict[str, Any]
Change = Callable[[Spec], object]

TEXT = "evler evlerde evlerimizden çıkıp gidiyorlar"
TRUNCATION = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 64},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "!",
}
ADDED = {
    "content": "<|x|>",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}


def specification() -> Spec:
    """A byte-level BPE with two merges, ids 0 to 257."""
    spec: Spec = json.loads(byte_level("e v", "ev l").to_str())
    return spec


def written(folder: Path, spec: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = spec if isinstance(spec, str) else json.dumps(spec)
    (folder / "tokenizer.json").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    "setting",
    [{"truncation": TRUNCATION}, {"padding": PADDING}, {"padding": {**PADDING, "strategy": "BatchLongest"}}],
    ids=["truncation", "padding to a length", "padding to the longest"],
)
def test_truncation_and_padding_are_off_and_are_not_grafted_on(setting: Spec, tmp_path: Path) -> None:
    folder = written(tmp_path / "set", {**specification(), **setting})
    plain = written(tmp_path / "plain", specification())
    texts = [TEXT, "ev"]
    wanted = [encoding.ids for encoding in load_tokenizer(plain).encode_batch(texts)]
    base = load_base(str(folder))
    grafted, _ = graft(base, [])
    for tokenizer in (load_tokenizer(folder), base.tokenizer(), open_tokenizer(grafted)):
        assert [encoding.ids for encoding in tokenizer.encode_batch(texts)] == wanted
        assert tokenizer.truncation is None and tokenizer.padding is None
    assert grafted["truncation"] is None and grafted["padding"] is None
    assert base.fingerprint == load_base(str(plain)).fingerprint
    assert list_changes(load_tokenizer(plain), load_tokenizer(folder), texts) == []
    assert count_tokens(load_tokenizer(folder), texts).tokens.tolist() == [len(ids) for ids in wanted]


def test_merge_dropout_is_off(tmp_path: Path) -> None:
    spec = specification()
    spec["model"]["dropout"] = 0.9
    folder = written(tmp_path, spec)
    for tokenizer in (load_tokenizer(folder), load_base(str(folder)).tokenizer()):
        assert len({tuple(tokenizer.encode("evlevlevlevl").ids) for _ in range(20)}) == 1
    assert graft(load_base(str(folder)), [])[0]["model"]["dropout"] is None


def test_an_added_token_keeps_its_id_behind_a_hole(tmp_path: Path) -> None:
    """The library counts on from the vocabulary, whatever the file says."""
    folder = written(tmp_path, {**specification(), "added_tokens": [{**ADDED, "id": 300}]})
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<|x|>") != 300
    for tokenizer in (load_tokenizer(folder), load_base(str(folder)).tokenizer()):
        assert tokenizer.token_to_id("<|x|>") == 300
        assert tokenizer.encode("ev<|x|>").ids[-1] == 300


def test_keys_that_a_file_may_lack_may_lack(tmp_path: Path) -> None:
    spec = specification()
    for key in ("added_tokens", "normalizer", "truncation", "padding", "post_processor"):
        del spec[key]
    base = load_base(str(written(tmp_path, spec)))
    assert base.added == {} and len(base.fingerprint) == 12
    assert graft(base, [])[0]["model"]["vocab"].keys() == base.vocab.keys()


def put(*keys: str) -> Callable[[object], Change]:
    """Sets the value at `keys`."""

    def to(value: object) -> Change:
        def change(spec: Spec) -> None:
            place = spec
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = value

        return change

    return to


def token(text: object, number: object) -> Change:
    return lambda spec: spec["model"]["vocab"].update({text: number})


def merge(value: object) -> Change:
    return lambda spec: spec["model"]["merges"].append(value)


def added(**values: object) -> Change:
    return lambda spec: spec["added_tokens"].append({**ADDED, "id": 258, **values})


DAMAGES: dict[str, tuple[Change, str]] = {
    "no model": (put("model")(None), "has no model"),
    "a model that is a list": (put("model")([1]), "has no model"),
    "no vocabulary": (put("model", "vocab")(None), "no vocabulary"),
    "a vocabulary that is a list": (put("model", "vocab")([["a", 0.0]]), "no vocabulary"),
    "an id that is text": (token("evd", "258"), "the token 'evd' has the id '258'"),
    "a negative id": (token("evd", -1), "the token 'evd' has the id -1"),
    "an id that is true": (token("evd", True), "the token 'evd' has the id True"),
    "an id without end": (token("evd", 2**40), "the token 'evd' has the id"),
    "one id for two tokens": (token("evd", 257), "the id 257 to two tokens, 'evl' and 'evd'"),
    "an id far away": (token("evd", 2**31), "ids have holes"),
    "a token that is no byte": (token("çocuk▁", 258), "not written in the byte alphabet"),
    "half a surrogate": (token("\ud83d", 258), "not written in the byte alphabet"),
    "a missing byte": (lambda spec: spec["model"]["vocab"].pop(byte_to_char()[0xC5]), "the byte 0xC5"),
    "no merges": (put("model", "merges")([]), "no merges"),
    "merges that are an object": (put("model", "merges")({"e": "v"}), "merges is no list"),
    "a merge of one": (merge("ev"), "the merge 'ev' is no pair"),
    "a merge of three": (merge(["e", "v", "l"]), "is no pair"),
    "a merge of numbers": (merge([1, 2]), "is no pair"),
    "a merge of nothing": (merge(["evx", "l"]), "needs the token 'evx'"),
    "a merge that makes nothing": (merge(["v", "l"]), "needs the token 'vl'"),
    "added tokens that are an object": (put("added_tokens")({}), "added_tokens is no list"),
    "an added token that is text": (put("added_tokens")(["<|x|>"]), "no content or no id"),
    "an added token without an id": (added(id=None), "no content or no id"),
    "an added token without content": (added(content=None), "no content or no id"),
    "an added token with two ids": (added(content="evl"), "gives 'evl' two ids, 257 and 258"),
    "an added token on another": (added(id=5), "the id 5 to two tokens"),
    "a pre-tokenizer that nobody knows": (
        put("pre_tokenizer", "trim_offsets")("x"),
        "the tokenizers library",
    ),
    "a normalizer that nobody knows": (put("normalizer")({"type": "Magic"}), "the tokenizers library"),
    "a prefix inside words": (put("model", "continuing_subword_prefix")("##"), "not over bytes"),
    "ids without merges": (put("model", "ignore_merges")(True), "ignore_merges"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_base_that_cannot_be_used_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    change, words = DAMAGES[name]
    spec = specification()
    change(spec)
    with pytest.raises(TokenizerError) as refused:
        load_base(str(written(tmp_path / "theirs", spec)))
    message = str(refused.value)
    assert words in message and "\n" not in message and "theirs" in message


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_only_measured_is_opened_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    spec = specification()
    DAMAGES[name][0](spec)
    try:
        tokenizer = load_tokenizer(written(tmp_path, spec))
    except EkleError as error:
        assert "\n" not in str(error)
        return
    assert tokenizer.encode(TEXT).ids
    plain = load_tokenizer(written(tmp_path / "plain", specification()))
    added_tokens(plain, tokenizer)
    list_changes(plain, tokenizer, [TEXT])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "7",
        '"x"',
        "{",
        '{"model": ',
        "\ufeff{}",
        "[" * 100_000,
        '{"a": ' + "9" * 5_000 + "}",
    ],
    ids=["empty", "list", "null", "number", "text", "cut", "cut later", "a mark", "deep", "long number"],
)
def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    folder = written(tmp_path, text)
    for opener in (load_base, load_tokenizer):
        with pytest.raises(TokenizerError) as refused:
            opener(str(folder))
        assert "\n" not in str(refused.value) and "tokenizer.json" in str(refused.value)


def test_the_id_of_a_shared_token_may_be_said_twice(tmp_path: Path) -> None:
    spec = specification()
    spec["added_tokens"] = [{**ADDED, "content": "evl", "id": 257}] * 2
    assert load_base(str(written(tmp_path, spec))).added == {"evl": 257}


def test_the_cure_for_a_token_in_no_byte_alphabet_works(tmp_path: Path) -> None:
    spec = specification()
    spec["model"]["vocab"]["çocuk▁"] = 258
    with pytest.raises(TokenizerError, match="enter it among added_tokens"):
        load_base(str(written(tmp_path, spec)))
    spec["added_tokens"] = [{**ADDED, "content": "çocuk▁", "id": 258}]
    assert load_base(str(written(tmp_path, spec))).tokenizer().encode("çocuk▁").ids == [258]


def words(unknown: str | None) -> Spec:
    tokenizer = Tokenizer(models.WordLevel({"ev": 0, "<unk>": 1}, unk_token=unknown))  # type: ignore[arg-type]
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec: Spec = json.loads(tokenizer.to_str())
    return spec


def test_another_kind_is_measured_if_it_encodes_every_text(tmp_path: Path) -> None:
    assert load_tokenizer(written(tmp_path / "whole", words("<unk>"))).encode("ev okul").ids == [0, 1]
    with pytest.raises(TokenizerError, match="cannot encode every text"):
        load_tokenizer(written(tmp_path / "partial", words("<none>")))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tokenizer_config.json", "[]", "tokenizer_config.json holds a JSON list"),
        ("tokenizer_config.json", "{", "tokenizer_config.json is not valid JSON"),
        ("special_tokens_map.json", "7", "special_tokens_map.json holds a JSON int"),
        ("config.json", "[]", "config.json holds a JSON list"),
        ("config.json", '{"vocab_size": "300"}', "the vocab_size '300'"),
        ("config.json", '{"vocab_size": 100}', "100 embedding rows but a token with id 257"),
        ("config.json", '{"vocab_size": 1000000000000}', "ids have holes"),
    ],
)
def test_a_damaged_companion_is_refused_in_one_line(
    file: str, content: str, words: str, tmp_path: Path
) -> None:
    (written(tmp_path, specification()) / file).write_text(content, "utf-8")
    with pytest.raises(EkleError) as refused:
        load_base(str(tmp_path))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_template_in_another_code_is_refused_in_one_line(tmp_path: Path) -> None:
    (written(tmp_path, specification()) / "chat_template.jinja").write_bytes("çocuk".encode("cp1254"))
    with pytest.raises(TokenizerError, match=r"chat_template\.jinja is not UTF-8"):
        load_base(str(tmp_path))
