"""The page as a reader's browser sees it."""

import functools
import json
import os
import re
from html import unescape
from pathlib import Path

import pytest
from browser import chromium
from full_report import LETTERS, complete
from markupsafe import escape
from partial_report import report_of

from ekle.artifacts.evaluation_report import OURS
from ekle.evaluation.report.page.plots import plots
from ekle.evaluation.report.page.tables import colours
from ekle.evaluation.report.page.write import render, write_page
from ekle.evaluation.run import evaluate_folder
from ekle.progress import silent

READ = Path(__file__).parent / "golden" / "report.html"
"""The page of a complete report as somebody has read it, without scripts, styles and version."""


@functools.cache
def whole_page():
    """The page of a complete report; drawing one takes a while."""
    return render(report_of(complete()))


@pytest.fixture
def report(evaluated):
    return evaluated.report


def without_scripts(page):
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def plain(page):
    """What a reader reads."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", without_scripts(page))))


@pytest.mark.slow(seconds=10)
def test_the_page_opens_in_a_browser_on_a_desk_and_a_phone_by_day_and_by_night(report, tmp_path):
    """Once with what was measured and once with every figure there can be."""
    papers = set()
    with chromium(tmp_path) as browser:
        for content, letters in ((report, "Ağaçların altında"), (report_of(complete()), LETTERS)):
            page = tmp_path / "page.html"
            write_page(content, page)
            drawn = plots(content)
            for width in (1280, 390):
                browser.look(page, width=width, dark=False)
                browser.ask("document.querySelectorAll('details').forEach((part) => (part.open = true))")
                for place in drawn:
                    browser.wait(f"document.querySelector('#plot-{place} .main-svg') !== null")
                assert browser.ask("document.querySelectorAll('.plot').length") == len(drawn)
                assert browser.ask("document.documentElement.scrollWidth") <= width
                assert browser.ask(_WIDEST_PLOT) <= width
                assert browser.ask("document.querySelectorAll('#plot-words .bars path').length") == 6
                for dark in (False, True):
                    browser.theme(dark)
                    browser.wait(_INK_IN_PLOTS)
                    assert browser.ask(_CONTRAST) > 4.5
                    papers.add(browser.ask("getComputedStyle(document.body).backgroundColor"))
            assert letters in browser.ask("document.body.innerText")
        assert browser.said == []
        assert {address.partition(":")[0] for address in browser.fetched} <= {"file", "data"}
    assert len(papers) == 2, "light and dark are not the same"


# Plots are drawn again in the colours of the theme.
_INK_IN_PLOTS = """
getComputedStyle(document.querySelector("#plot-words .xtick text")).fill ===
  getComputedStyle(document.body).color
"""
_WIDEST_PLOT = """
Math.max(...[...document.querySelectorAll(".main-svg")].map((plot) => plot.getBoundingClientRect().right))
"""
# The contrast of text and paper by WCAG 2: (lighter + 0.05) / (darker + 0.05).
_CONTRAST = """
(() => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const style = getComputedStyle(document.body);
  const [darker, lighter] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
})()
"""


@pytest.mark.slow(seconds=10)
def test_the_browser_hears_a_page_that_complains_fetches_or_is_too_wide(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<html data-drawn=yes><div style='width: 2000px'>ğ</div><img src='https://example.invalid/a.png'>"
        "<script>console.warn('said'); nothing.here;</script></html>",
        "utf-8",
    )
    with chromium(tmp_path) as browser:
        browser.look(page, width=390, dark=False)
        assert browser.ask("document.documentElement.scrollWidth") > 390
        assert any("said" in message for message in browser.said)
        assert any("ReferenceError" in message for message in browser.said)
        assert "https://example.invalid/a.png" in browser.fetched


def test_the_page_is_as_somebody_has_read_it():
    """Every word of it. Where it should change: EKLE_RENEW=1 before the command writes it anew, and the
    change is read in the diff."""
    page = re.sub(r'content="ekle [^"]+"', 'content="ekle"', without_scripts(whole_page()))
    lines = [line.rstrip() for line in page.splitlines()]
    if os.environ.get("EKLE_RENEW"):
        READ.write_text("\n".join(lines) + "\n", "utf-8")
    assert lines == READ.read_text("utf-8").splitlines()


def test_every_figure_of_a_complete_report_is_on_the_page():
    page = whole_page()
    assert re.findall(r'<section id="(.*?)">', page) == [
        *("criteria", "trust", "tokens", "peers", "words", "morphology", "likelihood", "control", "tasks"),
        *("training", "forgetting", "translation", "generation", "inference", "method"),
    ]
    assert page.count("<h2>") == 15
    assert set(plots(report_of(complete()))) == set(re.findall(r'id="plot-([a-z-]+)"', page))
    text = plain(page)
    for shown in (
        "rival", "32,000", "0.90× 0.89 to 0.91", "1.00× (0.99 to 1.01)", "90.0 % en", "bank.conllu",
        "list.tsv", "96.2 % of 520", "15 new tokens", "30.0 % (29.0 to 31.0 %)", "15.0 % of all",
        "task: squad 21 – 20.0 % 19.0 to 21.0 % 10.0 % 6.7 %", "all 25 tensors",
        "400 embedding rows", "0.10 nats",
        "sınav accuracy, 80 questions, 5 shown 25.0 %", "squad F1", "−2.0 −3.0 to −1.0", "squad, trained: 3.",
        "skipped", "90.0 % seen", "285,714 characters", "Turkish to English, 100 sentences", "−2.0",
        "−35.0 % −36.0 to −34.0 %", "people",
    ):  # fmt: skip
        assert shown in text, shown
    assert LETTERS in text and "NaN" not in text and "None" not in text


def test_a_section_without_figures_is_absent_and_so_is_its_place_in_the_contents():
    keys = {
        "criteria": "criteria", "peers": "peers", "morphology": "morphology", "likelihood": "likelihood",
        "training": "training", "tasks": "tasks", "translation": "translation", "inference": "inference",
    }  # fmt: skip
    for key, section in keys.items():
        page = render(report_of({name: part for name, part in complete().items() if name != key}))
        assert f'<section id="{section}">' not in page and f'href="#{section}"' not in page, key
        assert page.count("<section id=") == page.count('<a href="#') == 14, key
    content = {name: part for name, part in complete().items() if name not in ("drift", "likelihood")}
    page = render(report_of(content))
    assert '<section id="forgetting">' not in page and page.count("<section id=") == 13


def test_what_other_text_costs_is_shown_where_drift_cannot_be_measured():
    page = render(report_of({name: part for name, part in complete().items() if name != "drift"}))
    assert 'id="plot-forgetting"' in page and "<th>tokenized differently</th>" not in page


def test_without_held_out_text_no_plot_is_left_without_a_place():
    """One that has none would keep the browser from drawing any."""
    figures = complete()
    del figures["tokens"]
    figures["texts"]["held_out"] = {}
    places = re.findall(r'id="plot-([a-z-]+)"', render(report_of(figures)))
    assert set(plots(report_of(figures))) == set(places) and "forgetting" in places
    assert "growth" not in places and not [name for name in places if name.startswith("trade-")]


def test_each_criterion_says_what_was_measured_or_why_it_was_not():
    figures = complete()
    page = plain(render(report_of(figures)))
    assert len(figures["criteria"]) > 10
    for row in figures["criteria"]:
        assert plain(f"{row['name']} {row['definition']} {row['target']}") in page
        assert plain(row.get("why", row.get("note", ""))) in page
    assert "✓" not in page  # the marks are the style sheet's, the words are there without it
    assert "not measured a log cannot know" in page
    assert re.search(r"Tokens saved .{0,120} 37\.5 % 36\.5 to 38\.5 % not met", page)
    assert re.search(r"Tokenization improvement .{0,140} 60\.0 % 57\.5 to 62\.6 % met", page)
    unsure = [row | {"certain": False} if "met" in row else row for row in figures["criteria"]]
    assert "met, not certain" in plain(render(report_of(figures | {"criteria": unsure})))


def test_figures_of_a_lexicon_that_was_learned_with_say_so_next_to_the_figure():
    figures = complete()
    assert "learned with the same lexicon, so figures" not in plain(whole_page())
    figures["vocabulary"]["profile"] = "morphological"
    page = render(report_of(figures))
    told = page.index("learned with the same lexicon, so figures")
    assert "<details" not in page[page.index("Inflected words inside whose root") : told]
    assert "--gold" not in page[told : told + 150], "gold is there"
    del figures["morphology"]["gold"]
    text = plain(render(report_of(figures)))
    assert "marked with --gold." in text
    assert "by the lexicon, with which the extended one was learned" in text


def test_good_and_bad_news_differ_by_more_than_their_colour():
    style = whole_page().split("</style>")[0]
    signs = dict(re.findall(r'\.verdict \.(good|bad)::before \{ content: "(.)"', style))
    assert set(signs) == {"good", "bad"} and len(set(signs.values())) == 2


def test_expensive_words_say_why():
    page = plain(whole_page())
    for reason in ("Nücûmü | 'z", "not in the lexicon", "root mihrap", "root inkılap", "root ev"):
        assert reason in page
    assert "2 suffixes follow (-lar-ı)" in page and "one suffix follows (-ler)" in page


def test_a_model_keeps_its_colour_wherever_it_is_shown():
    figures = complete()
    found = colours(report_of(figures))
    assert {name: found[name] for name in OURS} == {name: name for name in OURS}
    assert found["another"] != found["rival"]
    dots = {trace["name"]: trace["meta"] for trace in plots(report_of(figures))["likelihood"]["data"]}
    low, high = plots(report_of(figures))["likelihood"]["layout"]["xaxis"]["range"]
    assert 0.9 < low < 1.04 and 1.21 < high < 1.3  # 1.05 to 1.2, with 0.01 to each side
    assert dots == {name: found[name] for name in dots} and "rival" in dots
    page = whole_page()
    assert f"--swatch: var(--{found['rival']})" in page and f"--swatch: var(--{found['another']})" in page


def test_contamination_that_was_not_measured_is_said_to_be_unknown():
    figures = {key: part for key, part in complete().items() if key not in ("contamination", "preservation")}
    text = plain(render(report_of(figures)))
    assert "contamination was not measured" in text and "tensors and the first" not in text


def test_a_page_is_small_enough_to_send():
    """Plotly goes in once, packed: 2 MB and not 5."""
    assert len(whole_page().encode()) < 2_500_000


def test_nothing_on_the_page_comes_from_elsewhere():
    page = whole_page()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", without_scripts(page))
    assert "@import" not in page.split("</style>")[0]


def test_every_part_of_the_report_is_on_the_page(report):
    page = without_scripts(render(report))
    assert re.findall(r'<section id="(.*?)">', page) == [
        *("criteria", "trust", "tokens", "words", "morphology", "likelihood", "training", "forgetting"),
        *("generation", "inference", "method"),
    ]
    for sentence in report.verdict:
        assert escape(sentence.text) in page
    assert 0 < page.index("fewer tokens") < page.index("<h2>")
    assert "do not compare across vocabularies" in page


def test_text_of_others_cannot_become_markup():
    hostile = complete()
    hostile["title"] = "<script>alert(1)</script>"
    hostile["generation"]["base"][0]["text"] = "</p><img src=x onerror=alert(1)>"
    hostile["tokens"]["by_text"]["</script><b>"] = hostile["tokens"]["by_text"]["haber"]
    hostile["peers"]["another"]["by_text"]["</script><b>"] = hostile["peers"]["another"]["all_held_out"]
    page = render(report_of(hostile))
    assert "<script>alert" not in page and "<img src=x" not in page and "</script><b>" not in page


def test_intervals_have_a_column_only_where_they_are_known():
    heading = "<th>95&nbsp;% interval</th><th>floor saves"
    figures = complete()
    assert heading in whole_page()
    figures["tokens"]["all_held_out"]["saved"] = {"value": 0.4}  # genres are the same object
    assert heading not in render(report_of(figures))


def test_trades_of_the_vocabulary_are_curves_where_there_are_figures():
    drawn = plots(report_of(complete()))
    assert "trade-size" in drawn and "trade-drift" in drawn and "trade-root" not in drawn


def test_parts_without_figures_leave_no_trace():
    bare = {key: complete()[key] for key in ("format", "title", "ekle", "settings", "texts", "verdict")}
    page = without_scripts(render(report_of(bare)))
    assert "<figure>" not in page and "What it cost" not in page and "NaN" not in page
    assert plots(report_of(bare)) == {}


def test_a_tokenizer_alone_has_a_page_too(tiny_base, tiny_vocabulary, settings, tmp_path):
    text = tmp_path / "metin.txt"
    text.write_text("Kediler bahçedeki ağaçların altında oturuyorlardı.\n", "utf-8")
    out = tmp_path / "out"
    evaluate_folder(tiny_vocabulary.tokenizer, tiny_base, {"metin": text}, settings, out, silent())
    page = without_scripts((out / "report.html").read_text("utf-8"))
    assert "bahçedeki" in re.sub(r"<[^>]+>", "", page)
    assert "Bits per byte, Turkish" not in page


def test_plots_name_their_colours_instead_of_having_them():
    allowed = {"base", "extended", "trained", "ink", *(f"line-{n}" for n in range(1, 7))}
    for plot in plots(report_of(complete())).values():
        assert all(trace["meta"] in allowed for trace in plot["data"])
        assert "#" not in json.dumps(plot)
        assert plot["layout"]["xaxis"]["fixedrange"] and plot["layout"]["yaxis"]["fixedrange"]
