"""The page in Chromium: what a person types is read, explained in every chapter, kept in the link, and shown as text.

One page is shared by nearly all tests, because opening it takes seconds; each test begins by typing a text of its own. Numbers on
the page are compared with the library's, never with a particular model's verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from browsing import (
    STEMS,
    drawn,
    eventually,
    expected_verdict,
    explained,
    go_to,
    labels,
    notice,
    numbers,
    seen,
    strip,
    takeaway,
    verdict,
    wait_for_words,
    write,
)

from app.chapters import CHAPTERS, attribution, geometry, ledger, lens, predict, rollout, stem
from app.layout import EXAMPLES
from app.palette import DARK, LIGHT
from app.settings import FIRST_TEXT
from gpt2cls_core import Classifier, load_classifier, trace
from gpt2cls_core import predict as library_predict

pytestmark = pytest.mark.browser

TEXT = "Not a good film, but I liked the ending."
HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>",
    "templates": "${alert(1)} `${alert(1)}` {{value}} {{{value}}} {x} {0} {self.__class__} %s __proto__",
    "markdown and entities": "**bold** [a](javascript:alert(1)) $x^2$ &lt;b&gt; &amp;amp;",
    "special token and control characters": "<|endoftext|>a\x00b\x07\x1b[31mc\x7f\u2028d",
    "right to left": "שלום עולם مرحبا \u202eabc",
    "lone emoji": "👩\u200d👩\u200d👧",
}


@pytest.fixture(scope="module")
def clf() -> Classifier:
    """The bundled classifier, as the page loads it."""
    return load_classifier("full")


# --- the verdict ---


def test_a_typed_sentence_gets_the_librarys_verdict_and_its_tokens(page, clf):
    write(page, "")
    page.locator("#text textarea").press_sequentially("Dull, but honest.", delay=20)
    eventually(page, lambda: verdict(page), expected_verdict(clf, "Dull, but honest."))
    eventually(page, lambda: strip(page, "predict"), list(trace(clf, "Dull, but honest.").tokens))
    assert page.locator("#predict-strip .token.read").all_text_contents() == ["."]


def test_the_takeaway_gives_the_librarys_numbers(page, clf):
    write(page, TEXT)
    wait_for_words(page, clf, predict, TEXT)
    margin = library_predict(clf, TEXT).margin
    assert f"{margin:+.2f}" in takeaway(page, "predict")


def test_a_text_that_is_cut_out_and_pasted_is_read(page, clf):
    write(page, TEXT)
    box = page.locator("#text textarea")
    box.press("Control+a")
    box.press("Control+x")
    eventually(page, lambda: "no text to read" in notice(page), True)
    box.press("Control+v")
    box.press("Control+v")
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT + TEXT))


def test_deleting_with_backspace_is_noticed(page, clf):
    write(page, "Good, bad")
    eventually(page, lambda: verdict(page), expected_verdict(clf, "Good, bad"))
    box = page.locator("#text textarea")
    box.press("End")
    for _ in range(5):
        box.press("Backspace")
    eventually(page, lambda: verdict(page), expected_verdict(clf, "Good"))


def test_an_example_fills_the_text_and_is_read_and_the_next_press_brings_the_next(page, clf):
    texts = [e["text"] for e in json.loads(EXAMPLES.read_text(encoding="utf-8")) if e["group"] == "negation"]
    button = page.locator("#examples button", has_text="negation")
    for text in texts[:2]:
        button.click()
        eventually(page, page.locator("#text textarea").input_value, text)
        eventually(page, lambda text=text: verdict(page), expected_verdict(clf, text))


def test_the_page_names_its_model_and_what_was_measured_of_it(page):
    facts = page.locator("#masthead .facts").text_content()
    assert re.search(r"\d+\.\dM parameters, all trained · (SST-2 accuracy \d+\.\d% |accuracy not measured)", facts)


# --- texts that are no sentences ---


@pytest.mark.parametrize("text", ["", "   \n\t ", "\u3000"], ids=["empty", "blanks", "wide blank"])
def test_without_a_text_the_page_says_what_to_do_and_recovers(page, clf, text):
    write(page, text)
    eventually(page, lambda: notice(page), "There is no text to read yet. Type at least one word.")
    assert verdict(page) == ("—", [], "")
    assert page.evaluate("document.documentElement.dataset.stale") == "true"
    write(page, "Good.")
    eventually(page, lambda: verdict(page), expected_verdict(clf, "Good."))
    assert page.evaluate("document.documentElement.dataset.stale") == "false"
    assert notice(page) == ""


def test_one_character_more_than_allowed_is_refused_with_both_numbers(page):
    write(page, "x" * 100_001)
    eventually(page, lambda: notice(page), "The text has 100,001 characters; shorten it to 100,000 or fewer.")


def test_half_of_a_surrogate_pair_is_refused_by_its_place(page):
    page.locator("#text textarea").evaluate(
        "box => { box.value = 'a\\ud800b'; box.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    eventually(page, lambda: "Character 2 is half of a surrogate pair" in notice(page), True)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_is_typed_is_shown_as_text(page, clf, witness, text):
    write(page, text)
    go_to(page, "rollout")
    eventually(page, lambda: verdict(page), expected_verdict(clf, text))
    wait_for_words(page, clf, rollout, text)
    tokens = trace(clf, text).tokens
    visible = {"\n": "⏎", "\t": "⇥", "\u0000": "␀", "\u200d": "ZWJ", "\ufe0f": "VS16", "\u0007": "·", "\u001b": "·"}
    shown = ["".join(visible.get(c, c) for c in token) for token in tokens]
    eventually(page, lambda: strip(page, "rollout"), shown)
    assert page.locator("#rollout-strip .token > *, #rollout-takeaway .takeaway :not(span):not(strong)").count() == 0
    assert page.locator("#masthead h1").count() == 1
    assert (witness.dialogs, witness.errors) == ([], [])


def test_markup_in_a_token_is_spelled_out_under_the_figure(page, clf):
    go_to(page, "rollout")
    write(page, "<b>&lt; <i>")
    wait_for_words(page, clf, rollout, "<b>&lt; <i>")
    tokens = trace(clf, "<b>&lt; <i>").tokens
    eventually(page, lambda: drawn(page, "rollout")["ticks"], [token.strip() or "␣" for token in tokens])
    assert any("<" in token for token in tokens)


def test_hovering_spells_markup_out(page, clf):
    go_to(page, "rollout")
    write(page, "<b>x</b>")
    wait_for_words(page, clf, rollout, "<b>x</b>")
    area = page.locator("#rollout-figure .nsewdrag")
    area.hover(position={"x": 5, "y": area.bounding_box()["height"] - 5})
    hover = page.locator("#rollout-figure .hoverlayer")
    first = trace(clf, "<b>x</b>").tokens[0]
    eventually(page, lambda: hover.text_content().startswith(f"“{first}” · embed"), True)


def test_a_text_longer_than_the_context_keeps_its_end_and_says_how_much_was_cut(page, clf):
    text = "A good film, my friend. " * 70  # 400 words and more
    read = trace(clf, text)
    assert read.tokens_cut > 0
    go_to(page, "predict")  # the grid of 256 tokens takes seconds to draw
    write(page, text)
    eventually(page, lambda: verdict(page), expected_verdict(clf, text))
    assert numbers(notice(page)) == [clf.context, read.tokens_cut]
    eventually(page, lambda: len(strip(page, "predict")), clf.context)
    write(page, TEXT)


# --- the chapters ---


def test_every_chapter_opens_by_a_click_and_explains_the_text(page, clf):
    write(page, TEXT)
    for chapter in CHAPTERS:
        name = stem(chapter)
        go_to(page, name)
        wait_for_words(page, clf, chapter, TEXT)
        last = explained(clf, chapter, TEXT)[-1]
        eventually(page, lambda name=name: drawn(page, name)["alt"], last.figure.layout.meta["alt"])
        figure = drawn(page, name)
        assert (figure["traces"], figure["role"]) == (len(last.figure.data), "img")
        assert figure["svg"] >= 1
        assert strip(page, name) == [item["text"] for item in last.strip["items"]]
        assert page.locator(f"#chapter-{name} h2").is_visible()


def test_a_figure_that_comes_while_it_is_hidden_is_drawn_when_it_is_shown(page, clf):
    write(page, "A fine film.")
    go_to(page, "lens")
    figure = page.locator("#lens-figure")

    def alt(text: str) -> str:
        return explained(clf, lens, text)[-1].figure.layout.meta["alt"]

    eventually(page, lambda: drawn(page, "lens")["alt"], alt("A fine film."))
    figure.evaluate("node => node.style.display = 'none'")
    write(page, TEXT)
    wait_for_words(page, clf, lens, TEXT)
    figure.evaluate("node => node.style.display = ''")
    eventually(page, lambda: drawn(page, "lens")["alt"], alt(TEXT))


def test_every_chapter_opens_by_arrow_keys_all_the_way_round(page):
    go_to(page, STEMS[0])
    page.locator(f"#tab-{STEMS[0]}").focus()
    for name in [*STEMS[1:], STEMS[0]]:
        page.keyboard.press("ArrowRight")
        eventually(page, lambda: seen(page), [name])
        assert page.evaluate("document.activeElement.id") == f"tab-{name}"
    for key, name in (("ArrowLeft", STEMS[-1]), ("Home", STEMS[0]), ("End", STEMS[-1])):
        page.keyboard.press(key)
        eventually(page, lambda: seen(page), [name])


def test_pressing_a_token_spells_its_vector(page, clf):
    write(page, TEXT)
    go_to(page, "geometry")
    page.locator("#chapter-geometry label", has_text="which word it spells").click()
    tokens = trace(clf, TEXT).tokens
    eventually(page, lambda: strip(page, "geometry"), list(tokens))
    page.locator("#geometry-strip .token").nth(2).click()
    eventually(page, lambda: f"“{tokens[2].strip()}”" in takeaway(page, "geometry"), True)
    eventually(page, lambda: page.locator("#geometry-strip .token.marked").all_text_contents(), [tokens[2]])
    eventually(page, lambda: parse_qs(urlsplit(page.url).query).get("token"), [str(len(tokens) - 3)])
    page.locator("#chapter-geometry label", has_text="a cloud of sentences").click()


# --- moving through the layers ---


def choose(page, chapter: str, option: str) -> None:
    page.locator(f"#chapter-{chapter} label", has_text=option).click()


def test_options_are_chosen_where_a_chapter_has_no_page_test_of_its_own(page, clf):
    write(page, TEXT)
    for chapter, words, options, before in (
        (lens, "trained lens", {"view": "probe"}, "the head in every cell"),
        (rollout, "raw rollout", {"view": "raw"}, "learned beyond the architecture"),
        (attribution, "no embedding (zero)", {"baseline": "zero"}, "end-of-text tokens"),
        (ledger, "heads and MLPs", {"view": "heads"}, "layer by layer"),
    ):
        name = stem(chapter)
        go_to(page, name)
        choose(page, name, words)
        wait_for_words(page, clf, chapter, TEXT, **options)
        alt = explained(clf, chapter, TEXT, **options)[-1].figure.layout.meta["alt"]
        eventually(page, lambda name=name: drawn(page, name)["alt"], alt)
        choose(page, name, before)
        wait_for_words(page, clf, chapter, TEXT)


def layer_shown(page) -> tuple:
    """The cloud's caption, and where the person's own text stands in it."""
    return tuple(
        page.locator("#geometry-figure .plot").evaluate(
            "plot => [plot.layout.title?.text, plot.data[1]?.x[0]].map((shown) => shown ?? null)"
        )
    )


def layers(clf: Classifier, text: str) -> list[tuple]:
    """The same of every layer, as the library has it."""
    frames = explained(clf, geometry, text)[-1].figure.frames
    return [(frame.layout.title.text, pytest.approx(frame.data[1].x[0], abs=1e-3)) for frame in frames]


@pytest.fixture
def cloud(page, clf):
    """The cloud of sentences with TEXT in it, drawn."""
    write(page, TEXT)
    go_to(page, "geometry")
    choose(page, "geometry", "a cloud of sentences")
    eventually(page, lambda: layer_shown(page), layers(clf, TEXT)[-1])
    return page


@pytest.fixture
def played(cloud) -> Iterator[Callable[[], list[str]]]:
    """Gives the names of the frames that have been played."""
    plot = cloud.locator("#geometry-figure .plot")
    plot.evaluate(
        "plot => { window.played = []; plot.on('plotly_animatingframe', (frame) => window.played.push(frame.name)); }"
    )
    yield lambda: cloud.evaluate("window.played")
    plot.evaluate("plot => plot.removeAllListeners('plotly_animatingframe')")


def test_the_slider_moves_the_cloud_to_the_layer_that_is_pressed(cloud, clf):
    expected = layers(clf, TEXT)
    rail = cloud.locator("#geometry-figure .slider-rail-touch-rect")
    width = rail.bounding_box()["width"]
    for layer, x in ((0, 2), (len(expected) - 1, width - 2)):
        rail.click(position={"x": x, "y": 5}, force=True)
        eventually(cloud, lambda layer=layer: layer_shown(cloud), expected[layer])


def test_play_shows_the_layers_from_the_embedding_to_the_top(cloud, clf, played):
    expected = layers(clf, TEXT)
    cloud.locator("#geometry-figure .updatemenu-button").click()
    eventually(cloud, played, [str(layer) for layer in range(len(expected))])
    eventually(cloud, lambda: layer_shown(cloud), expected[-1])


# --- options ---


def test_the_other_text_is_compared_as_it_is_typed_and_an_empty_one_is_explained(page, clf):
    write(page, TEXT)
    go_to(page, "geometry")
    choose(page, "geometry", "another text")
    other = page.locator("#chapter-geometry textarea")
    for text in ("I hated the ending.", "<b>${alert(1)}</b>", " "):
        other.fill(text)
        wait_for_words(page, clf, geometry, TEXT, view="pair", other=text)
    other.fill(TEXT)
    wait_for_words(page, clf, geometry, TEXT, view="pair", other=TEXT)
    figure = drawn(page, "geometry")  # drawn again after the blank text, which has none
    assert (figure["traces"], figure["svg"] > 0) == (3, True)
    choose(page, "geometry", "a cloud of sentences")


def test_who_hurries_from_chapter_to_chapter_gets_the_last_one_explained(page, clf):
    text = "Hurry from one chapter to the next!"
    write(page, text)
    for chapter in [*CHAPTERS, *reversed(CHAPTERS), lens]:
        page.locator(f"#tab-{stem(chapter)}").click()
    wait_for_words(page, clf, lens, text)
    assert seen(page) == ["lens"]
    eventually(page, lambda: strip(page, "lens"), list(trace(clf, text).tokens))


def test_the_address_names_text_chapter_and_the_chapters_own_options(page):
    write(page, "Fine & well.")
    go_to(page, "ledger")
    choose(page, "ledger", "heads and MLPs")
    expected = {"text": "Fine & well.", "chapter": "ledger", "view": "heads", "layer": "0", "head": "0"}

    def query() -> dict[str, str]:
        return {key: value for key, (value,) in parse_qs(urlsplit(page.url).query).items() if key != "model"}

    eventually(page, query, expected)
    go_to(page, "attribution")
    eventually(page, query, {"text": "Fine & well.", "chapter": "attribution", "baseline": "eos", "unit": "words"})
    go_to(page, "ledger")
    choose(page, "ledger", "layer by layer")
    eventually(page, query, {**expected, "view": "account"})


# --- the link ---


@pytest.fixture(scope="module")
def linked(open_page):
    """A page opened by a link with text, chapter and options."""
    page = open_page("?" + urlencode({"text": TEXT, "chapter": "rollout", "view": "attention", "head": 3}))
    yield page
    page.close()


def view_of(page) -> tuple:
    """Text, chapter, and the chosen options of the rollout chapter."""
    chapter = page.locator("#chapter-rollout")
    return (
        page.locator("#text textarea").input_value(),
        seen(page),
        chapter.locator("input[type=radio]:checked").input_value(),
        chapter.get_by_role("combobox", name="Head", include_hidden=True).input_value(),
        chapter.locator("input[type=checkbox]").is_checked(),
        page.locator("#rollout-strip .strip-caption").text_content(),
    )


def test_a_link_reproduces_text_chapter_and_options(linked, clf):
    caption = explained(clf, rollout, TEXT, view="attention", head=3)[-1].strip["caption"]
    assert "head 3" in caption
    eventually(linked, lambda: view_of(linked), (TEXT, ["rollout"], "attention", "3", False, caption))
    eventually(linked, lambda: verdict(linked), expected_verdict(clf, TEXT))


def test_the_address_follows_the_page_and_a_reload_shows_the_same(linked, clf):
    linked.locator("#chapter-rollout label", has_text="raw rollout").click()
    linked.locator("#chapter-rollout label", has_text="without the sink").click()
    write(linked, "Good & <b>bad</b> = 100 %?")
    options = {"view": "raw", "without_sink": True}
    wait_for_words(linked, clf, rollout, "Good & <b>bad</b> = 100 %?", **options)
    before = view_of(linked)
    assert before[:5] == ("Good & <b>bad</b> = 100 %?", ["rollout"], "raw", "3", True)
    linked.reload()
    linked.locator("#rollout-takeaway strong").first.wait_for(state="attached")
    eventually(linked, lambda: view_of(linked), before)
    wait_for_words(linked, clf, rollout, "Good & <b>bad</b> = 100 %?", **options)


def test_copy_link_copies_the_address(linked):
    linked.bring_to_front()
    linked.locator("#share .link").click()
    eventually(linked, lambda: linked.evaluate("navigator.clipboard.readText()"), linked.url)


def test_a_chapter_picked_before_the_link_was_read_stays(context, server, clf):
    early = context.new_page()
    early.goto(server.url)
    early.locator("#tab-geometry").click()  # Python answers with the link's chapter, the first, only after this
    wait_for_words(early, clf, geometry, FIRST_TEXT)
    eventually(early, lambda: "chapter=geometry" in early.url, True)
    assert seen(early) == ["geometry"]
    early.close()


def test_the_chapter_of_a_link_is_seen_before_python_has_read_it(context, server):
    page = context.new_page()
    page.route("**/queue/join*", lambda route: None)  # Python never hears of it
    page.goto(server.url + "?chapter=answer")
    page.locator("#chapter-answer h2").wait_for()
    assert seen(page) == ["answer"]
    page.close()


def test_no_file_is_written_of_a_text_that_a_link_has_not_brought_yet(context, server):
    page, joins = context.new_page(), []
    page.route("**/queue/join*", lambda route: joins.append(route.request.post_data))  # Python never hears of it
    page.goto(server.url + "?" + urlencode({"text": "A text that only the link knows."}))
    page.locator("#share .file").click()
    eventually(page, lambda: page.locator("#share .said").text_content(), "One moment, the link is still being read.")
    assert page.locator("#share .file").is_enabled()
    assert len(joins) == 1  # the link's own
    page.close()


def test_what_belongs_to_no_text_is_dimmed_with_its_words(page):
    write(page, "")
    eventually(page, lambda: "no text to read" in notice(page), True)
    chapter = seen(page)[0]
    dimmed = [f"#chapter-{chapter} .card", f"#chapter-{chapter} .takeaway"]
    assert [page.locator(part).first.evaluate("node => getComputedStyle(node).opacity") for part in dimmed] == [
        "0.4",
        "0.4",
    ]


def test_a_hostile_link_opens_the_page_with_its_defaults(open_page, clf):
    options = {
        "chapter": "rollout",
        "view": "<script>",
        "head": "999",
        "without_sink": "perhaps",
        "model": "/etc/passwd",
    }
    page = open_page("?" + urlencode({**options, "text": " ", "x": "${alert(1)}", "token": "-5"}))
    wait_for_words(page, clf, rollout, FIRST_TEXT)
    assert view_of(page)[:5] == (FIRST_TEXT, ["rollout"], "beyond", "mean of all", False)
    page.close()


LINKS = [
    (lens, {"view": "after"}),
    (geometry, {"view": "spells", "token": 2}),
    (attribution, {"baseline": "zero", "unit": "tokens"}),
    (ledger, {"view": "tokens", "layer": 2, "head": 1}),
]


@pytest.mark.parametrize(("chapter", "options"), LINKS, ids=[stem(chapter) for chapter, _ in LINKS])
def test_a_link_opens_any_chapter_with_its_options_light_or_dark(linked, server, clf, chapter, options):
    name = stem(chapter)
    dark = chapter is ledger
    query = {"text": TEXT, "chapter": name, **options, **({"__theme": "dark"} if dark else {})}
    linked.goto(server.url + "?" + urlencode(query))
    wait_for_words(linked, clf, chapter, TEXT, **options)
    last = explained(clf, chapter, TEXT, **options)[-1]
    eventually(linked, lambda: drawn(linked, name)["alt"], last.figure.layout.meta["alt"])
    assert labels(linked, name) == [item["label"] for item in last.strip["items"]]
    assert ((DARK if dark else LIGHT)["ink"] in drawn(linked, name)["json"], seen(linked)) == (True, [name])
    assert ("__theme=dark" in linked.url) == dark  # the address keeps it


# --- looks ---


def test_what_belongs_to_another_text_is_dimmed(page):
    card = page.locator(f"#chapter-{STEMS[0]} .card").first
    go_to(page, STEMS[0])
    write(page, "Good.")
    eventually(page, lambda: card.evaluate("card => getComputedStyle(card).opacity"), "1")
    write(page, "")
    eventually(page, lambda: float(card.evaluate("card => getComputedStyle(card).opacity")) < 0.6, True)


def test_a_dark_page_redraws_the_figure_in_dark_colours_and_a_light_one_in_light(page, clf):
    write(page, TEXT)
    go_to(page, "rollout")
    wait_for_words(page, clf, rollout, TEXT)
    for theme, other, toggle in ((DARK, LIGHT, "add"), (LIGHT, DARK, "remove")):
        page.evaluate(f"document.body.classList.{toggle}('dark')")
        eventually(page, lambda theme=theme: theme["ink"] in drawn(page, "rollout")["json"], True)
        figure = drawn(page, "rollout")["json"]
        assert theme["attention"] in figure and theme["read"] in figure
        assert [colour for colour in other.values() if colour in figure] == []
        colour = page.locator("#masthead h1").evaluate("h1 => getComputedStyle(h1).color")
        assert numbers(colour) == [int(theme["ink"][i : i + 2], 16) for i in (1, 3, 5)]


def test_no_chapter_makes_a_narrow_page_scroll_sideways(page, clf):
    page.set_viewport_size({"width": 390, "height": 800})
    try:
        text = "Not a good film, but " + "film" * 14  # one word, wider than the page
        write(page, text)
        for chapter in CHAPTERS:
            go_to(page, stem(chapter))
            wait_for_words(page, clf, chapter, text)
            assert page.evaluate("document.scrollingElement.scrollWidth") <= 390, stem(chapter)
            page.locator(f"#{stem(chapter)}-figure .plot svg.main-svg").first.wait_for()
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


# --- for those who cannot see or use a mouse ---


def test_every_button_and_every_field_has_a_name(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, [role=tab], [role=button], input, textarea, select')]
            .filter((node) => node.checkVisibility())
            .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.title
                || document.getElementById(node.getAttribute('aria-labelledby'))?.textContent.trim()
                || [...(node.labels || [])].some((label) => label.textContent.trim())))
            .map((node) => node.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


def test_the_chapters_are_tabs_of_which_one_is_selected_and_can_be_reached(page):
    tabs = page.locator("#chapters [role=tablist] [role=tab]")
    states = tabs.evaluate_all(
        """tabs => tabs.map((tab) => [tab.getAttribute('aria-selected'), tab.tabIndex,
            document.getElementById(tab.getAttribute('aria-controls')) !== null])"""
    )
    assert len(states) == len(CHAPTERS)
    assert sorted(states) == [["false", -1, True]] * (len(CHAPTERS) - 1) + [["true", 0, True]]
    assert page.locator("#chapters [role=tablist]").get_attribute("aria-label")


def test_the_verdict_and_the_problem_are_read_out_when_they_change(page):
    assert page.locator("#verdict [aria-live]").count() == 1
    assert page.locator("#verdict [role=alert]").count() == 1


def test_the_page_has_a_title_one_heading_and_a_language(page):
    assert "gpt2cls" in page.title()
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.lang")


# --- what goes out ---


def test_the_browser_asked_this_machine_alone(page, witness):
    """Over all that the tests above did."""
    assert "127.0.0.1" in witness.hosts
    assert witness.hosts - {"", "127.0.0.1", "localhost"} == set()


def test_the_server_looked_up_no_other_host(page, server):
    assert "127.0.0.1" in server.hosts()  # its own check that it is up, so the record works
    assert server.hosts() - {"127.0.0.1", "localhost", "0.0.0.0", "::1", "None"} == set()


def test_nothing_went_wrong_on_the_way(page, witness, server):
    assert (witness.errors, witness.dialogs) == ([], [])
    assert "Traceback" not in server.log()
    assert "Warning" not in server.log()


# --- the API ---


def test_no_step_of_the_page_is_offered_as_an_api(server):
    with urlopen(server.url + "gradio_api/info", timeout=30) as answer:
        offered = json.load(answer)
    assert sorted(offered["named_endpoints"]) == ["/explain", "/predict"]
    assert offered["unnamed_endpoints"] == {}


@pytest.mark.parametrize("model", ["/etc/passwd", "openai-community/gpt2", "../../full"])
def test_a_request_by_hand_gets_no_model_that_is_not_offered(server, model):
    with urlopen(server.url + "config", timeout=30) as answer:
        config = json.load(answer)
    props = {component["id"]: component["props"] for component in config["components"]}
    step = next(step for step in config["dependencies"] if step["backend_fn"] and step["api_name"] == "page")
    data = [model if props[i].get("elem_id") == "model" else props[i].get("value") for i in step["inputs"]]
    join = {"data": data, "fn_index": step["id"], "session_hash": f"by hand {model}"}
    request = Request(
        server.url + "gradio_api/queue/join", json.dumps(join).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=60):
        pass
    with urlopen(server.url + "gradio_api/queue/data?" + urlencode({"session_hash": join["session_hash"]})) as answer:
        messages = [json.loads(line[6:]) for line in answer.read().decode().splitlines() if line.startswith("data: ")]
    (completed,) = (message for message in messages if message["msg"] == "process_completed")
    assert not completed["success"]
    assert "is not in the list of choices" in completed["output"]["error"]


@pytest.mark.parametrize(
    "file", ["app/main.py", "requirements.txt", "assets/models/full/config.json", "../shared/DESIGN.md"]
)
def test_no_file_of_the_project_can_be_fetched(server, file):
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{server.url}gradio_api/file={quote(file)}", timeout=30)
    refused.value.close()
    assert refused.value.code in (403, 404)
