"""The trade-offs of a vocabulary's size as curves."""

import json

from ekle.page.plots import trade_plots

POINTS = [
    {
        "size": size,
        "learning_text": 0.03 * size,
        "held_out": 0.02 * size,
        "lines_changed": {"de": drift, "ru": 0.0},
    }
    for size, drift in ((0, 0.0), (5, 0.01), (10, 0.02))
]


def test_saved_is_drawn_against_the_size_on_both_texts() -> None:
    held_out, learning = trade_plots(POINTS)["trade-size"]["data"]
    assert held_out["x"] == learning["x"] == [0, 5, 10]
    assert held_out["y"] == [0.0, 0.1, 0.2]


def test_only_what_changes_has_a_line_against_drift_and_no_point_lies_at_nothing() -> None:
    (line,) = trade_plots(POINTS)["trade-drift"]["data"]
    assert (line["name"], line["x"], line["y"], line["customdata"]) == (
        "de",
        [0.01, 0.02],
        [0.1, 0.2],
        [5, 10],
    )


def test_a_text_of_other_sources_is_not_needed() -> None:
    bare = [{"size": point["size"], "learning_text": point["learning_text"]} for point in POINTS]
    assert list(trade_plots(bare)) == ["trade-size"]
    assert len(trade_plots(bare)["trade-size"]["data"]) == 1
    assert trade_plots(bare[:1]) == trade_plots([]) == {}


def test_roots_are_drawn_where_they_are_known_and_the_last_size_is_named() -> None:
    rooted = [{**point, "root_intact": 0.5 + 0.01 * point["size"]} for point in POINTS]
    (line,) = trade_plots(rooted)["trade-root"]["data"]
    assert line["x"] == [0.5, 0.55, 0.6]
    assert line["text"] == ["0", "", "10"]


def test_many_texts_are_told_apart_by_colour_and_then_by_dashes() -> None:
    names = [f"text {number}" for number in range(8)]
    many = [{**point, "lines_changed": dict.fromkeys(names, 0.01)} for point in POINTS]
    lines = trade_plots(many)["trade-drift"]["data"]
    assert len({(line["meta"], line["line"]["dash"]) for line in lines}) == 8
    assert "#" not in json.dumps(lines)
