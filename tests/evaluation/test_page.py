"""The page as a reader's browser sees it."""

import copy
import json
import re
import shutil
import subprocess

import pytest

from ekle.evaluation.folders import evaluate_folder
from ekle.evaluation.page.plots import plots
from ekle.evaluation.page.write import render
from ekle.evaluation.stage import Inputs, run
from ekle.progress import silent


@pytest.fixture
def figures(recipe, tiny_corpus, tiny_vocabulary, tiny_base_model, tiny_extended, tiny_checkpoint, tmp_path):
    (tmp_path / "6-evaluation").mkdir()
    inputs = Inputs(tiny_corpus, tiny_vocabulary, tiny_base_model, tiny_extended, tiny_checkpoint)
    return run(recipe, inputs, tmp_path / "6-evaluation", silent()).figures


def without_scripts(page):
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_the_page_opens_in_a_browser_with_plots_and_a_clean_console(figures, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    page = tmp_path / "6-evaluation" / "report.html"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    opened = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert [line for line in opened.stderr.splitlines() if "CONSOLE" in line] == []
    drawn = plots(figures)
    assert set(drawn) == {"words", "growth", "likelihood", "training-bits", "training-loss"}
    body = without_scripts(opened.stdout)
    assert body.count('class="main-svg"') >= len(drawn)
    for name in drawn:
        assert re.search(rf'id="plot-{name}"[^>]*class="[^"]*js-plotly-plot', body) or re.search(
            rf'class="[^"]*js-plotly-plot[^"]*"[^>]*id="plot-{name}"', body
        )
    assert "Ağaçların altında" in body
    assert len(re.findall(r'<g class="point">', body)) >= 6  # bars: base and extended, two genres and both


def test_nothing_on_the_page_comes_from_elsewhere(figures):
    page = without_scripts(render(figures))
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "@import" not in render(figures).split("</style>")[0]


def test_every_part_of_the_report_is_on_the_page(figures):
    page = without_scripts(render(figures))
    for heading in ("genre by genre", "Before and after", "Side effects", "In its own words", "How this was"):
        assert heading in page
    for sentence in figures["verdict"]:
        assert sentence["text"].replace("'", "&#39;") in page
    assert page.index("fewer tokens") < page.index("<h2>")
    assert "do not compare across vocabularies" in page


def test_text_of_others_cannot_become_markup(figures):
    hostile = copy.deepcopy(figures)
    hostile["title"] = "<script>alert(1)</script>"
    hostile["generation"]["base"][0]["text"] = "</p><img src=x onerror=alert(1)>"
    hostile["tokens"]["by_text"]["</script><b>"] = hostile["tokens"]["by_text"].pop("prose")
    page = render(hostile)
    assert "<script>alert" not in page and "<img src=x" not in page and "</script><b>" not in page


def test_intervals_have_a_column_only_where_they_are_known(figures):
    """The held-out genres here have too few documents for an interval."""
    heading = "<th>95&nbsp;% interval</th><th>floor saves"
    assert heading not in render(figures)
    known = copy.deepcopy(figures)
    known["tokens"]["by_text"]["prose"]["saved"] |= {"low": 0.1, "high": 0.2}
    assert heading in render(known)


def test_the_trades_of_the_vocabulary_are_curves_on_the_page(figures):
    points = [{"size": n, "learning_text": 0.1 * n, "lines_changed": {"en": 0.01 * n}} for n in range(3)]
    page = render(figures | {"vocabulary": {**figures["vocabulary"], "trades": points}})
    assert 'id="plot-trade-size"' in page and 'id="plot-trade-drift"' in page
    assert 'id="plot-trade-root"' not in page


def test_parts_without_figures_leave_no_trace(figures):
    bare = {key: figures[key] for key in ("format", "title", "ekle", "settings", "texts", "verdict")}
    page = without_scripts(render(bare))
    assert "<figure>" not in page and "Side effects" not in page and "NaN" not in page
    assert plots(bare) == {}


def test_a_tokenizer_alone_has_a_page_too(tiny_base, tiny_vocabulary, settings, tmp_path):
    text = tmp_path / "metin.txt"
    text.write_text("Kediler bahçedeki ağaçların altında oturuyorlardı.\n", "utf-8")
    out = tmp_path / "out"
    evaluate_folder(tiny_vocabulary.tokenizer, tiny_base, {"metin": text}, settings, out, silent())
    page = without_scripts((out / "report.html").read_text("utf-8"))
    assert "bahçedeki" in re.sub(r"<[^>]+>", "", page)
    assert "Bits per byte, Turkish" not in page


def test_plots_name_their_colours_instead_of_having_them(figures):
    for plot in plots(figures).values():
        assert all(trace["meta"] in ("base", "extended", "trained", "ink") for trace in plot["data"])
        assert "#" not in json.dumps(plot)
        assert plot["layout"]["xaxis"]["fixedrange"] and plot["layout"]["yaxis"]["fixedrange"]
