"""Token figures, on a tokenizer small enough to count by hand."""

from itertools import count
from types import SimpleNamespace

import pytest
from tiny import byte_level
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

from ekle.bpe import measure
from ekle.bpe.base import load_tokenizer
from ekle.bpe.measure import (
    count_pre_tokens,
    count_tokens,
    measure_drift,
    measure_reachability,
    measure_use,
    new_token_ids,
    split_lines,
    time_decoding,
    time_encoding,
)
from ekle.bpe.segmentation import changed_words, count_words, token_spans
from ekle.errors import TextError, TokenizerError

BASE = byte_level("e v")
EXTENDED = byte_level("e v", "l e", "le r", "ev ler")
TEXT = ["evler ev", "el"]  # base: ev l e r, space, ev | e l; extended: evler, space, ev | e l


def test_token_counts_match_a_case_counted_by_hand():
    counts = count_tokens(BASE, TEXT)
    assert counts.tokens.tolist() == [6, 2]
    assert counts.bytes.tolist() == [8, 2]
    assert counts.words.tolist() == [2, 1]
    assert counts.bytes_per_token == pytest.approx(10 / 8)
    assert counts.tokens_per_word == pytest.approx(8 / 3)


def test_tokens_saved_is_a_share_of_the_base_tokens():
    base, extended = count_tokens(BASE, TEXT), count_tokens(EXTENDED, TEXT)
    assert extended.tokens.tolist() == [3, 2]
    assert extended.saved(base) == pytest.approx(3 / 8)
    assert base.saved(extended) == pytest.approx(-3 / 5)


def test_turkish_letters_count_as_two_bytes():
    assert count_tokens(BASE, ["ağaç"]).bytes.tolist() == [6]


def test_text_without_words_is_refused():
    with pytest.raises(TextError, match="no words"):
        count_tokens(BASE, ["  ", ""])
    with pytest.raises(TextError, match="no lines"):
        measure_drift(BASE, EXTENDED, [])
    with pytest.raises(TextError, match="no text"):
        time_encoding([BASE], [""])


def test_the_floor_is_one_token_per_pre_token():
    # "evler", " ev", "," and " 12" are what the pre-tokenizer makes of it.
    assert count_pre_tokens(BASE, ["evler ev, 12"]).tolist() == [4]
    assert count_pre_tokens(BASE, ["ağaç"]).tolist() == [1]


def test_no_tokenizer_beats_its_floor(tiny_vocabulary):
    tokenizer = load_tokenizer(tiny_vocabulary.tokenizer)
    documents = ["Evlerimizden çıktık, Ankara'da 3 gün kaldık.", "Kütüphane kapalıydı!"]
    assert (count_pre_tokens(tokenizer, documents) <= count_tokens(tokenizer, documents).tokens).all()


def test_drift_names_the_lines_whose_tokens_differ():
    drift = measure_drift(BASE, EXTENDED, ["ev", "evler", "el", "al le"])
    assert drift.changed == [1, 3]
    assert drift.share == 0.5
    assert drift.tokens_before.tolist() == [1, 4, 2, 5]
    assert drift.tokens_after.tolist() == [1, 1, 2, 4]


def test_drift_sees_another_segmentation_of_the_same_length():
    left, right = byte_level("a b"), byte_level("b c")  # abc: ab c against a bc
    assert measure_drift(left, right, ["abc"]).changed == [0]


def test_drift_ignores_renumbered_ids():
    renumbered = byte_level("x y", "e v")
    assert measure_drift(BASE, renumbered, ["ev ve"]).changed == []


def test_drift_keeps_the_index_across_batches():
    lines = ["ev"] * 5_000 + ["evler"]
    assert measure_drift(BASE, EXTENDED, lines).changed == [5_000]


def test_blank_lines_are_no_lines():
    assert split_lines(["a\n\n  \nb", "", "c"]) == ["a", "b", "c"]


def test_use_counts_new_tokens_and_how_many_differ():
    ids = new_token_ids(BASE, EXTENDED)
    assert len(ids) == 3
    use = measure_use(EXTENDED, ["evler evler le", "al"], ids)
    # evler, space, evler, space, le | a, l
    assert (use.tokens, use.new, use.used, use.available) == (7, 3, 2, 3)


def test_added_tokens_and_placeholders_are_not_new_tokens():
    extended = byte_level("e v", "l e")
    extended.add_special_tokens([AddedToken("<|tool|>", special=True)])
    assert [extended.id_to_token(number) for number in new_token_ids(BASE, extended)] == ["le"]


def test_the_placeholders_of_a_real_extension_are_not_new_tokens(tiny_base, tiny_vocabulary):
    ids = new_token_ids(load_tokenizer(tiny_base), load_tokenizer(tiny_vocabulary.tokenizer))
    assert ids == {token.id for token in tiny_vocabulary.tokens()}


def test_speeds_come_in_the_order_of_the_tokenizers():
    slow = byte_level("e v")
    slow.pre_tokenizer = pre_tokenizers.Sequence(
        [*[pre_tokenizers.ByteLevel(add_prefix_space=False)], *[pre_tokenizers.Split("q", "isolated")] * 40]
    )
    speeds = time_encoding([slow, BASE], ["evler ev " * 2_000], rounds=3).rates
    assert 0 < speeds[0] < speeds[1]


def test_decoding_is_timed_on_the_same_text():
    text = ["evler ev " * 2_000]
    base, extended = time_decoding([BASE, EXTENDED], text, rounds=3).rates
    assert 0 < base < extended  # half as many tokens to look up
    with pytest.raises(TextError, match="no text"):
        time_decoding([BASE], [""])


def test_a_text_is_timed_in_parts_that_hold_all_of_it(monkeypatch):
    # A clock that moves a second at every look: each timed part takes one, and the best of both rounds too.
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=count().__next__))
    timed = time_encoding([BASE, EXTENDED], ["evler ev\n" * 30, "ev\n" * 30], rounds=2)
    assert timed.characters == 30 * 9 + 30 * 3
    assert timed.seconds.shape == (2, 20) and (timed.seconds == 1).all()
    assert timed.rates == [360 / 20, 360 / 20]
    assert time_encoding([BASE], ["ev"], rounds=1).seconds.shape == (1, 1)


def test_the_best_round_of_each_part_counts(monkeypatch):
    # Two parts: a round that is not counted and looks at the clock once each, then two rounds that are.
    clock = iter([0, 0, *(0, 4), *(0, 7), *(0, 5), *(0, 6)])
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=clock.__next__))
    assert time_decoding([BASE], ["ev\nev\n"], rounds=2).seconds.tolist() == [[4, 6]]


def test_a_token_that_the_pre_tokenizer_splits_is_not_reached():
    tokenizer = byte_level("a b")
    assert measure_reachability(tokenizer, [tokenizer.get_vocab()["ab"]]).by_own_text == 1
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # "ab" at the end of a word is split; where a word goes on it is not.
    split = pre_tokenizers.Split(Regex("(?<=a)(?=b$)"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, whole])
    reach = measure_reachability(tokenizer, [tokenizer.get_vocab()["ab"]])
    assert (reach.by_own_text, reach.in_a_word) == (0, 1)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("b", "isolated"), whole])
    assert measure_reachability(tokenizer, [tokenizer.get_vocab()["ab"]]).in_a_word == 0


def test_half_a_character_is_not_reached_by_text():
    tokenizer = byte_level("Ä Ł")
    vocab = tokenizer.get_vocab()
    assert measure_reachability(tokenizer, [vocab["Ä"], vocab["ÄŁ"]]).by_own_text == 1


def test_spans_join_to_the_text_and_show_half_characters_as_bytes():
    assert [span.text for span in token_spans(EXTENDED, "evler")] == ["evler"]
    assert [span.text for span in token_spans(BASE, "ağ")] == ["a", "\\xc4", "\\x9f"]
    tokenizer = byte_level("Ä Ł")
    assert "".join(span.text for span in token_spans(tokenizer, "ağ ve")) == "ağ ve"


def test_spans_keep_an_added_token_whole():
    tokenizer = byte_level("e v")
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", special=True)])
    assert [span.text for span in token_spans(tokenizer, "ev<|im_end|>ev")] == ["ev", "<|im_end|>", "ev"]


def test_spans_of_other_kinds_of_tokenizers_come_from_their_offsets():
    tokenizer = Tokenizer(models.WordLevel({"ev": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    assert [span.text for span in token_spans(tokenizer, "ev ağaç")] == ["ev", "ağaç"]


def test_words_keep_their_apostrophe():
    assert count_words(["Ankara'da, 3 ev; ev"]) == {"Ankara'da": 1, "ev": 2}


def test_changed_words_come_in_the_order_asked_for():
    words = count_words(["ev el el el le le evler evler aaaaaaaaa aaaaaaaaa xxxxxxxxxxxx"])
    common = changed_words(BASE, EXTENDED, words, 5, "common")
    assert [word.word for word in common] == ["le", "evler"]
    gained = changed_words(BASE, EXTENDED, words, 5, "gained")
    assert [(word.word, word.saved) for word in gained] == [("evler", 3), ("le", 1)]
    assert gained[0].before == [" ", "ev", "l", "e", "r"]
    assert gained[0].after == [" ", "evler"]
    expensive = changed_words(BASE, EXTENDED, words, 1, "expensive")
    assert [word.word for word in expensive] == ["aaaaaaaaa"]


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is no tokenizer"):
        load_tokenizer(tmp_path)
