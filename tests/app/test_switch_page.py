"""The switch in the header in Chromium: another classifier reads the same text, in every chapter, and the link keeps it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browsing import (
    STEMS,
    drawn,
    eventually,
    expected_verdict,
    explained,
    go_to,
    notice,
    strip,
    takeaway,
    verdict,
    words,
    write,
)

from app import models
from app.chapters import CHAPTERS, lens, stem
from gpt2cls_core import Classifier, bundled_names, load_classifier, trace

pytestmark = pytest.mark.browser

TEXT = "The plot is thin, yet I laughed all evening."


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Classifier]:
    return {name: load_classifier(name) for name in bundled_names()}


def switch(page, name: str) -> None:
    page.locator("#model").get_by_text(models.title(name), exact=True).click()


def model_in_link(page) -> list[str]:
    return parse_qs(urlsplit(page.url).query).get("model", [])


def test_each_classifier_reads_the_text_that_stands_there(page, classifiers):
    write(page, TEXT)
    for name, clf in classifiers.items():
        switch(page, name)
        expected = expected_verdict(clf, TEXT)
        eventually(page, lambda: (verdict(page), page.locator("#model input:checked").input_value()), (expected, name))
        eventually(page, lambda clf=clf: strip(page, "predict"), list(trace(clf, TEXT).tokens))
        eventually(page, lambda name=name: model_in_link(page), [name])
        assert page.locator("#text textarea").input_value() == TEXT
        facts = page.locator("#masthead .facts").text_content()
        assert str(clf.card["description"]) in facts


@pytest.mark.parametrize("chapter", CHAPTERS, ids=STEMS)
def test_a_link_opens_any_chapter_with_the_classifier_that_differs_most(open_page, classifiers, chapter):
    name = "prompt"  # it has tokens that nobody typed
    by_tokens = {"unit": "tokens"}  # not by words, where a chapter can do both
    page = open_page("?" + urlencode({"text": TEXT, "model": name, "chapter": stem(chapter), **by_tokens}))
    clf = classifiers[name]
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    eventually(page, lambda: strip(page, stem(chapter)), list(trace(clf, TEXT).tokens))
    assert drawn(page, stem(chapter))["traces"] > 0
    assert "Something went wrong" not in takeaway(page, stem(chapter))
    assert notice(page) == ""
    page.close()


def test_the_prefixes_of_a_soft_prompt_are_read_from_the_first_real_token_on(page, classifiers):
    write(page, TEXT)
    switch(page, "prompt")
    go_to(page, "lens")
    expected = words(explained(classifiers["prompt"], lens, TEXT)[-1])
    eventually(page, lambda: takeaway(page, "lens"), expected)
    switch(page, "full")
    go_to(page, "predict")
