"""The sentences say what the figures say, good or bad, and nothing that was not measured."""

from ekle.evaluation.report.criteria import criteria
from ekle.evaluation.report.terminal import verdict_lines
from ekle.evaluation.report.verdict import abilities, verdict
from ekle.page.formatting import amount, listed, percent, signed, size, span


def figures(saved=0.34, change=None, base_parameters=4_000_000_000):
    """Content of a report.json, cut down to what the verdict reads."""
    whole = {
        "bytes": 5_100_000,
        "base": {"tokens_per_word": 2.55},
        "extended": {"tokens_per_word": 1.69},
        "saved": {"value": saved, "low": saved - 0.01, "high": saved + 0.01},
        "floor": {"saved": 0.518},
    }
    found = {
        "texts": {"held_out": {"wiki": {}}, "other": {"en": {}}},
        "tokens": {"together": whole, "by_text": {"wiki": whole}},
    }
    if change is not None:
        found |= {
            "models": {"base": {"parameters": base_parameters, "row_parameters": 1_000_000}},
            "likelihood": {
                "base": {"together": {"bits_per_byte": {"value": 1.0}}, "en": {}},
                "extended": {"together": {"bits_per_byte": {"value": 1.5}, "change": change}, "en": {}},
                "trained": {
                    "together": {"bits_per_byte": {"value": 1.0 + change["value"]}, "change": change},
                    "en": {"change": {"value": 0.05, "low": 0.04, "high": 0.06}},
                },
            },
            "drift": {"en": {"lines": 100, "changed": 2, "share": {"value": 0.02}}},
        }
    return found


def kinds(found):
    return [sentence.kind for sentence in verdict(found)]


def said(found):
    return " ".join(sentence.text for sentence in verdict(found)).replace("\u00a0", " ")


def test_fewer_tokens_are_good_and_more_tokens_are_said_to_be_more():
    assert "Turkish text takes 34.0 % fewer tokens." in said(figures())
    assert "between 33.0 and 35.0 % (95 % interval)" in said(figures())
    assert "Turkish text takes 2.0 % more tokens." in said(figures(saved=-0.02))
    assert "bad" in kinds(figures(saved=-0.02))
    assert {"good", "bad"}.isdisjoint(kinds(figures(saved=0.005))), "the interval holds 0"


def test_a_clear_loss_is_called_a_loss():
    text = said(figures(change={"value": 0.1, "low": 0.05, "high": 0.15}))
    assert "10.0 % more bits than the base: 1.100 instead of 1.000 bits a byte" in text
    assert "it stood at 1.500" in text


def test_a_clear_gain_is_called_a_gain():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert "10.0 % fewer bits" in said(found)


def test_a_change_within_the_interval_is_no_change():
    assert "cannot be told apart" in said(figures(change={"value": -0.01, "low": -0.05, "high": 0.03}))


def test_a_change_on_a_handful_of_documents_is_told_without_certainty():
    found = figures(change={"value": -0.169})
    assert "16.9 % fewer bits than the base, on too little text to be sure of it" in said(found)
    assert "good" not in [item.kind for item in verdict(found) if "bits" in item.text]


def test_forgetting_is_bad_news():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert "Other text costs the trained model more bits than the base: en 5.0 %." in said(found)
    assert "bad" in kinds(found)


def test_other_text_that_shares_its_name_with_held_out_text_is_told_and_judged_by_itself():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    found["texts"] = {"held_out": {"wiki": {}}, "other": {"wiki": {}}}
    lost, won = ({"value": one, "low": one - 0.01, "high": one + 0.01} for one in (0.3, -0.1))
    found["likelihood"]["trained"] |= {"wiki": {"change": won}, "other: wiki": {"change": lost}}
    assert "more bits than the base: wiki 30.0 %." in said(found)
    (row,) = (row for row in criteria(found) if row["key"] == "knowledge")
    assert row["value"] == lost and not row["met"]


def test_changed_lines_are_named_and_none_is_said_to_be_none():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert "cut differently than before: 2.0 % of en." in said(found)
    found["drift"]["en"] |= {"changed": 0, "share": {"value": 0.0}}
    assert "Not one of 100 lines of en is cut differently." in said(found)


def test_a_toy_is_called_a_toy_and_a_model_is_not():
    change = {"value": -0.1, "low": -0.15, "high": -0.05}
    assert "toy model: 500,000 parameters" in said(figures(change=change, base_parameters=1_500_000))
    assert "toy" not in said(figures(change=change))


def test_without_held_out_text_the_verdict_says_so():
    assert "No Turkish text was held out" in said({})


def test_the_headline_comes_first_and_once():
    assert kinds(figures())[0] == "headline"
    assert kinds(figures()).count("headline") == 1


def test_roots_are_told_by_gold_and_by_the_lexicon_where_there_is_none():
    def roots(before, now, spread=0.005):
        change = {"value": now - before, "low": now - before - spread, "high": now - before + spread}
        extended = {"root_uncut": {"value": now}, "root_uncut_difference": change}
        return {"by_tokenizer": {"base": {"root_uncut": {"value": before}}, "extended": extended}}

    found = figures() | {"morphology": {"lexicon": roots(0.5, 0.8)}}
    assert "inside the root in 80.0 % of the inflected words that a lexicon knows; before it was 50" in said(
        found
    )
    found["morphology"]["gold"] = {"boun": roots(0.44, 0.43)}
    assert "in 43.0 % of the inflected words of boun" in said(found)
    assert "bad" in kinds(found) and "lexicon" not in said(found)
    found["morphology"]["gold"] = {"boun": roots(0.44, 0.43, spread=0.02)}
    assert "bad" not in kinds(found) and "before it was 44.0 %, which is not told apart from that." in said(
        found
    )


def test_a_lexicon_that_the_vocabulary_was_learned_with_is_named():
    own = {"base": {"root_uncut": {"value": 0.4}}, "extended": {"root_uncut": {"value": 0.9}}}
    found = figures() | {"morphology": {"lexicon": {"by_tokenizer": own}}}
    for profile, told in (("portable", False), ("morphological", True)):
        found["vocabulary"] = {"profile": profile}
        assert ("learned with that lexicon too" in said(found)) == told


def test_speed_is_told_with_its_doubt():
    def inference(low):
        gain = {"value": 0.25, "low": low, "high": 0.5}
        return {
            "models": ["base", "trained"],
            "generation": {"gain": gain},
            "kv_cache": {"saved": {"value": 0.3}},
        }

    clearly, perhaps = (said(figures() | {"inference": inference(low)}) for low in (0.1, -0.1))
    assert "trained model writes the same text 25.0 % faster with 30.0 % less memory" in clearly
    assert "as fast, as far as can be told," in perhaps and "faster" not in perhaps


def test_criteria_that_are_missed_are_named():
    rows = [
        {"key": "memory", "name": "Memory", "met": True},
        {"key": "final_loss", "name": "Final loss", "met": False},
        {"key": "unattended", "name": "Unattended"},
    ]
    assert "2 were measured, and 1 is met; not met: Final loss." in said(figures() | {"criteria": rows})
    unsure = [row | {"certain": False} for row in rows]
    assert (
        "1 is met, 1 of them not certainly, as the interval reaches across the limit; "
        "not met: Final loss (not certain)."
    ) in said(figures() | {"criteria": unsure})


def task(language, change, spread=0.01):
    """A task whose score by bytes is what counts, and whose other score says the opposite."""
    apart = {"value": change, "low": change - spread, "high": change + spread}
    base = {"accuracy": {"value": 0.5}, "accuracy_bytes": {"value": 0.5}}
    other = {"value": -change, "low": -change - spread, "high": -change + spread}
    trained = base | {"accuracy_bytes_difference": apart, "accuracy_difference": other}
    return {"language": language, "models": {"base": base, "trained": trained}}


def test_tasks_that_are_lost_are_bad_news_and_knowledge_is_not_preserved():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    found["likelihood"]["trained"]["en"]["change"] = {"value": 0.001, "low": 0.0, "high": 0.002}
    (row,) = (row for row in criteria(found) if row["key"] == "knowledge")
    assert row["met"] and "would say more" in row["note"]
    found["tasks"] = {"arc": task("en", -0.2), "copa": task("en", -0.02, 0.1), "xcopa": task("tr", 0.1)}
    told = {sentence.kind: sentence.text for sentence in abilities(found)}
    assert {kind: text.split(": ")[1].replace("\u00a0", " ") for kind, text in told.items()} == {
        "bad": "arc (English) −20.0 points.",
        "good": "xcopa (Turkish) +10.0 points.",
        "plain": "copa (English) −2.0 points.",
    }
    (row,) = (row for row in criteria(found) if row["key"] == "knowledge")
    assert not row["met"] and row["certain"] and "arc −20.0" in row["note"] and "copa" not in row["note"]
    del found["tasks"]["arc"]
    (row,) = (row for row in criteria(found) if row["key"] == "knowledge")
    assert row["met"] and "in no English task clearly worse" in row["note"]


def test_translation_is_judged_by_its_paired_difference():
    lost, untold = ({"value": -5.0, "low": -5.0 - wide, "high": -5.0 + wide} for wide in (1, 9))
    found = {"translation": {"base": {}, "trained": {"tr-en": {"chrf_change": lost}}}}
    found["translation"]["trained"]["en-tr"] = {"chrf_change": untold}
    worse, same = abilities(found)
    assert worse.kind == "bad" and "by chrF: Turkish to English −5.0" in worse.text
    assert same.kind == "plain" and "English to Turkish" in same.text


def test_text_that_misses_the_targets_is_told_with_its_doubt():
    def generated(low, high):
        words = {"accepted": {"value": 0.8, "low": low, "high": high}, "harmony": {"value": 0.99}}
        return {"generated": {"trained": {"words": words}, "held_out": {"words": words}}}

    for low, high, kind in ((0.7, 0.85, "bad"), (0.7, 0.95, "plain")):
        found = generated(low, high)
        (sentence,) = abilities(found | {"criteria": criteria(found)})
        assert sentence.kind == kind and "accepts 80.0\u00a0% of its words (asked: > 90 %)" in sentence.text
        assert "harmony" not in sentence.text


def test_text_that_was_learned_from_is_told_and_copies_are_bad_news():
    def overlap(shared, copied):
        return {
            "wiki": {"overlapping": {"value": shared}, "mostly": {"value": copied}},
            "short": {"documents": 0},
        }

    assert "No document measured on shares" in said(figures() | {"overlap": overlap(0.0, 0.0)})
    formulas, copies = (figures() | {"overlap": overlap(0.1, share)} for share in (0.0, 0.05))
    assert "learned from: 10.0 % of wiki." in said(formulas)
    assert "bad" not in kinds(formulas) and "bad" in kinds(copies)


def test_figures_are_worded_for_people():
    plain = [text.replace("\u00a0", " ") for text in map(percent, (0.3402, 0.0044, 0.00001, 0, -0.021))]
    assert plain == ["34.0 %", "0.44 %", "<0.01 %", "0 %", "−2.1 %"]
    assert signed(0.02).startswith("+") and not signed(-0.02).startswith("+")
    assert span({"value": 0.5, "low": 0.4, "high": 0.6}).replace("\u00a0", " ") == "40.0 to 60.0 %"
    assert span({"value": 0.5}) == ""
    assert (amount(1234), amount(2_500_000)) == ("1,234", "2.5\u00a0million")
    assert (size(999), size(5_100_000)) == ("999\u00a0bytes", "5.1\u00a0MB")
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def test_good_and_bad_news_have_a_sign_in_a_terminal_without_colours():
    told = [{"kind": kind, "text": "x"} for kind in ("headline", "good", "bad", "plain", "note")]
    lines = [str(line) for line in verdict_lines({"verdict": told}).renderables]
    assert lines == ["x", "+ x", "− x", "· x", "x"]
