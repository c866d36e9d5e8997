"""The sentences say what the figures say, good or bad, and nothing that was not measured.

How they say it is for a reader to judge: their wording is in the page that `test_page.py` keeps.
"""

import re

from partial_report import report_of

from ekle.artifacts.evaluation_report import Figure, Sentence
from ekle.evaluation.report.criteria import criteria
from ekle.evaluation.report.terminal import verdict_lines
from ekle.evaluation.report.verdict import abilities, verdict
from ekle.page.formatting import amount, interval, listed, percent, signed, size


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
        "tokens": {"all_held_out": whole, "by_text": {"wiki": whole}},
    }
    if change is not None:
        found |= {
            "models": {"base": {"parameters": base_parameters, "row_parameters": 1_000_000}},
            "likelihood": {
                "base": {"all_held_out": {"bits_per_byte": {"value": 1.0}}, "en": {}},
                "extended": {"all_held_out": {"bits_per_byte": {"value": 1.5}, "change": change}, "en": {}},
                "trained": {
                    "all_held_out": {"bits_per_byte": {"value": 1.0 + change["value"]}, "change": change},
                    "en": {"change": {"value": 0.05, "low": 0.04, "high": 0.06}},
                },
            },
            "drift": {"en": {"lines": 100, "changed": 2, "share": {"value": 0.02}}},
        }
    return found


def kinds(found):
    return [sentence.kind for sentence in verdict(report_of(found))]


def knowledge(found):
    """The criterion of what the base knew."""
    (row,) = (row for row in criteria(report_of(found)) if row.key == "knowledge")
    return row


def said(found):
    return " ".join(sentence.text for sentence in verdict(report_of(found))).replace("\u00a0", " ")


def told(found, kind):
    """The figures in all sentences of a kind."""
    texts = (sentence.text for sentence in verdict(report_of(found)) if sentence.kind == kind)
    return {number for text in texts for number in re.findall(r"\d(?:[\d,.]*\d)?", text)}


def test_fewer_tokens_are_good_and_more_tokens_are_said_to_be_more():
    assert told(figures(), "headline") == {"34.0"} and "34.0 % fewer" in said(figures())
    assert {"33.0", "35.0"} <= told(figures(), "good")
    assert told(figures(saved=-0.02), "headline") == {"2.0"} and "2.0 % more" in said(figures(saved=-0.02))
    assert "bad" in kinds(figures(saved=-0.02))
    assert {"good", "bad"}.isdisjoint(kinds(figures(saved=0.005))), "the interval holds 0"


def test_a_clear_loss_is_called_a_loss():
    found = figures(change={"value": 0.1, "low": 0.05, "high": 0.15})
    assert {"10.0", "1.100", "1.000", "1.500"} <= told(found, "bad") and "10.0 % more" in said(found)


def test_a_clear_gain_is_called_a_gain():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert {"10.0", "0.900", "1.000"} <= told(found, "good") and "10.0 % fewer" in said(found)


def test_a_change_within_the_interval_is_no_change():
    found = figures(change={"value": -0.01, "low": -0.05, "high": 0.03})
    assert {"1.000", "0.990"} <= told(found, "plain") and "does not clearly differ" in said(found)


def test_a_change_on_a_handful_of_documents_is_told_without_certainty():
    found = figures(change={"value": -0.169})
    assert "16.9" in told(found, "plain") and "too little text" in said(found)
    assert "good" not in [item.kind for item in verdict(report_of(found)) if "bits" in item.text]


def test_forgetting_is_bad_news():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert told(found, "bad") == {"5.0"} and "en 5.0 %" in said(found)


def test_other_text_that_shares_its_name_with_held_out_text_is_told_and_judged_by_itself():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    found["texts"] = {"held_out": {"wiki": {}}, "other": {"wiki": {}}}
    lost, won = ({"value": one, "low": one - 0.01, "high": one + 0.01} for one in (0.3, -0.1))
    found["likelihood"]["trained"] |= {"wiki": {"change": won}, "other: wiki": {"change": lost}}
    assert told(found, "bad") == {"30.0"} and "wiki 30.0 %" in said(found)
    row = knowledge(found)
    assert row.value.dump() == lost and not row.met


def test_changed_lines_are_named_and_none_is_said_to_be_none():
    found = figures(change={"value": -0.1, "low": -0.15, "high": -0.05})
    assert "2.0" in told(found, "plain") and "2.0 % of en" in said(found)
    found["drift"]["en"] |= {"changed": 0, "share": {"value": 0.0}}
    assert "100" in told(found, "good") and "100 lines of en" in said(found)


def test_a_toy_is_called_a_toy_and_a_model_is_not():
    change = {"value": -0.1, "low": -0.15, "high": -0.05}
    found = figures(change=change, base_parameters=1_500_000)
    assert "500,000" in told(found, "note") and "toy" in said(found)
    assert "toy" not in said(figures(change=change))


def test_without_held_out_text_the_verdict_says_so():
    assert kinds({})[0] == "headline" and "No Turkish text" in said({})


def test_the_headline_comes_first_and_once():
    assert kinds(figures())[0] == "headline"
    assert kinds(figures()).count("headline") == 1


def test_roots_are_told_by_gold_and_by_the_lexicon_where_there_is_none():
    def roots(before, now, spread=0.005):
        change = {"value": now - before, "low": now - before - spread, "high": now - before + spread}
        extended = {"root_intact": {"value": now}, "root_intact_difference": change}
        return {"by_tokenizer": {"base": {"root_intact": {"value": before}}, "extended": extended}}

    found = figures() | {"morphology": {"lexicon": roots(0.5, 0.8)}}
    assert {"80.0", "50.0"} <= told(found, "good") and "lexicon" in said(found)
    found["morphology"]["gold"] = {"boun": roots(0.44, 0.43)}
    assert told(found, "bad") == {"43.0", "44.0"} and "boun" in said(found)
    assert "lexicon" not in said(found)
    found["morphology"]["gold"] = {"boun": roots(0.44, 0.43, spread=0.02)}
    assert "bad" not in kinds(found)
    assert {"43.0", "44.0"} <= told(found, "plain") and "the difference is not clear" in said(found)


def test_a_lexicon_that_the_vocabulary_was_learned_with_is_named():
    own = {"base": {"root_intact": {"value": 0.4}}, "extended": {"root_intact": {"value": 0.9}}}
    found = figures() | {"morphology": {"lexicon": {"by_tokenizer": own}}}
    for profile, named in (("portable", False), ("morphological", True)):
        found["vocabulary"] = {"profile": profile}
        assert ("learned with the same lexicon" in said(found)) == named


def test_speed_is_told_with_its_doubt():
    def inference(low):
        gain = {"value": 0.25, "low": low, "high": 0.5}
        return {
            "models": ["base", "trained"],
            "generation": {"gain": gain},
            "kv_cache": {"saved": {"value": 0.3}},
        }

    clearly, perhaps = (figures() | {"inference": inference(low)} for low in (0.1, -0.1))
    assert {"25.0", "30.0"} <= told(clearly, "good") and "25.0 % faster" in said(clearly)
    assert "30.0 % less memory" in said(clearly)
    assert "25.0" not in told(perhaps, "good") and "faster" not in said(perhaps)
    assert "at about the same speed" in said(perhaps)


def test_criteria_that_are_missed_are_named():
    rows = [
        {"key": "memory", "name": "Memory", "met": True},
        {"key": "final_loss", "name": "Final loss", "met": False},
        {"key": "unattended", "name": "Unattended"},
    ]
    sure = said(figures() | {"criteria": rows})
    assert "2 were measured" in sure and "1 is met" in sure and "not met: Final loss" in sure
    assert "certain" not in sure and "Memory" not in sure and "Unattended" not in sure
    unsure = said(figures() | {"criteria": [row | {"certain": False} for row in rows]})
    assert "1 of them not certainly" in unsure and "Final loss (not certain)" in unsure


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
    row = knowledge(found)
    assert row.met and "would say more" in row.note
    found["tasks"] = {"arc": task("en", -0.2), "copa": task("en", -0.02, 0.1), "xcopa": task("tr", 0.1)}
    by_kind = {sentence.kind: sentence.text for sentence in abilities(report_of(found))}
    named = {"bad": "arc (English) −20.0", "good": "xcopa (Turkish) +10.0", "plain": "copa (English) −2.0"}
    assert by_kind.keys() == named.keys()
    for kind, task_and_score in named.items():
        assert by_kind[kind].split(": ")[1].startswith(task_and_score)
    row = knowledge(found)
    assert not row.met and row.certain and "arc −20.0" in row.note and "copa" not in row.note
    del found["tasks"]["arc"]
    row = knowledge(found)
    assert row.met and "in no English task clearly worse" in row.note


def test_translation_is_judged_by_its_paired_difference():
    lost, untold = ({"value": -5.0, "low": -5.0 - wide, "high": -5.0 + wide} for wide in (1, 9))
    found = {"translation": {"base": {}, "trained": {"tr-en": {"chrf_change": lost}}}}
    found["translation"]["trained"]["en-tr"] = {"chrf_change": untold}
    worse, same = abilities(report_of(found))
    assert worse.kind == "bad" and "by chrF: Turkish to English −5.0" in worse.text
    assert same.kind == "plain" and "English to Turkish" in same.text


def test_text_that_misses_the_targets_is_told_with_its_doubt():
    def generated(low, high):
        words = {"accepted": {"value": 0.8, "low": low, "high": high}, "harmony": {"value": 0.99}}
        return {"generated": {"trained": {"words": words}, "held_out": {"words": words}}}

    for low, high, kind in ((0.7, 0.85, "bad"), (0.7, 0.95, "plain")):
        found = generated(low, high)
        (sentence,) = abilities(report_of(found | {"criteria": criteria(report_of(found))}))
        assert sentence.kind == kind and "accepts 80.0\u00a0% of its words (asked: > 90 %)" in sentence.text
        assert "harmony" not in sentence.text


def test_text_that_was_learned_from_is_told_and_copies_are_bad_news():
    def contamination(shared, copied):
        return {
            "wiki": {"overlapping": {"value": shared}, "mostly": {"value": copied}},
            "short": {"documents": 0},
        }

    assert "No measured document" in said(figures() | {"contamination": contamination(0.0, 0.0)})
    formulas, copies = (figures() | {"contamination": contamination(0.1, share)} for share in (0.0, 0.05))
    assert "10.0" in told(formulas, "plain") and "10.0 % of wiki" in said(formulas)
    assert "bad" not in kinds(formulas) and "bad" in kinds(copies)


def test_figures_are_worded_for_people():
    plain = [text.replace("\u00a0", " ") for text in map(percent, (0.3402, 0.0044, 0.00001, 0, -0.021))]
    assert plain == ["34.0 %", "0.44 %", "<0.01 %", "0 %", "−2.1 %"]
    assert signed(0.02).startswith("+") and not signed(-0.02).startswith("+")
    assert interval(Figure(value=0.5, low=0.4, high=0.6)).replace("\u00a0", " ") == "40.0 to 60.0 %"
    assert interval(Figure(value=0.5)) == ""
    assert (amount(1234), amount(2_500_000)) == ("1,234", "2.5\u00a0million")
    assert (size(999), size(5_100_000)) == ("999\u00a0bytes", "5.1\u00a0MB")
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def test_good_and_bad_news_have_a_sign_in_a_terminal_without_colours():
    told = [Sentence(kind=kind, text="x") for kind in ("headline", "good", "bad", "plain", "note")]
    lines = [str(line) for line in verdict_lines(told).renderables]
    assert lines == ["x", "+ x", "− x", "· x", "x"]
