"""The page as an owner sets it up: models of his own, of other layers, heads and classes; one that is missing; limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import (
    eventually,
    expected_verdict,
    go_to,
    notice,
    strip,
    verdict,
    wait_until_read,
    walk_through,
    write,
)
from conftest import save_tiny
from serving import Server, serving

from gpt2cls_core import load_classifier, trace

pytestmark = pytest.mark.browser

FIRST = "The owner's own text."
MOST = 60


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with three layers, two heads and five classes."""
    return save_tiny(tmp_path_factory.mktemp("models") / "five", 5, seed=1)


@pytest.fixture(scope="module")
def owned(five: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"GPT2CLS_MODELS": f"no-such-model,{five}", "GPT2CLS_TEXT": FIRST, "GPT2CLS_CHARACTERS": str(MOST)}
    with serving(tmp_path_factory.mktemp("owned"), **settings) as served:
        yield served


@pytest.fixture(scope="module")
def visit(chromium, owned: Server) -> Iterator[Callable[..., object]]:
    visitor = chromium.new_context(viewport={"width": 1280, "height": 900})
    visitor.set_default_timeout(60_000)

    def opened(**query: str) -> object:
        page = visitor.new_page()
        page.goto(owned.url + "?" + urlencode(query))
        wait_until_read(page)
        return page

    yield opened
    visitor.close()


def choices(page, chapter: str, label: str) -> list[str]:
    """What a dropdown offers."""
    box = page.locator(f"#chapter-{chapter}").get_by_label(label, exact=True)
    box.click()
    offered = page.locator("[role=option]").all_text_contents()
    box.blur()
    return [choice.replace("✓", "").strip() for choice in offered]


def test_a_missing_first_model_is_told_and_a_bundled_one_stands_in(visit):
    page = visit()
    assert "There is no model 'no-such-model'" in page.locator("#masthead .told").text_content()
    eventually(page, lambda: verdict(page), expected_verdict(load_classifier("full"), FIRST))
    page.close()


def test_another_model_brings_its_own_layers_heads_and_classes(visit, five):
    page = visit(chapter="ledger", view="tokens")
    assert choices(page, "ledger", "Layer") == ["all", "1", "2", "3", "4", "5", "6"]
    page.locator("#model").get_by_text("five", exact=True).click()
    clf = load_classifier(str(five))
    eventually(page, lambda: strip(page, "ledger"), list(trace(clf, FIRST).tokens))
    eventually(page, lambda: choices(page, "ledger", "Layer"), ["all", "1", "2", "3"])
    assert page.locator("#verdict .verdict-label").text_content() == trace(clf, FIRST).label
    named = page.locator("#chapter-predict .words .positive").all_text_contents()
    assert set(named) == {"the predicted class"}
    page.close()


def test_every_chapter_works_with_the_owners_model(visit, five):
    page = visit(model=str(five))
    walk_through(page, trace(load_classifier(str(five)), FIRST))
    page.close()


def test_choosing_the_missing_model_says_what_is_wrong_and_loses_nothing(visit):
    page = visit()
    page.locator("#model").get_by_text("no-such-model", exact=True).click()
    eventually(page, lambda: "There is no model 'no-such-model'" in notice(page), True)
    assert page.locator("#text textarea").input_value() == FIRST
    page.locator("#model").get_by_text("everything", exact=True).click()
    eventually(page, lambda: notice(page), "")
    go_to(page, "lens")
    page.close()


def test_the_owners_limit_holds(visit):
    page = visit()
    write(page, "x" * (MOST + 1))
    eventually(page, lambda: notice(page), f"The text has {MOST + 1} characters; shorten it to {MOST} or fewer.")
    page.close()
