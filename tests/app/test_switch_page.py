"""The switch in the header in Chromium: another classifier reads the same text, in every chapter, and the link keeps it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import (
    eventually,
    expected_verdict,
    explained,
    go_to,
    notice,
    strip,
    takeaway,
    verdict,
    walk_through,
    words,
    write,
)

from app import models
from app.chapters import lens
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


def test_every_chapter_works_with_the_classifier_that_differs_most(page, classifiers):
    write(page, TEXT)
    switch(page, "prompt")  # it has tokens that nobody typed
    walk_through(page, trace(classifiers["prompt"], TEXT))
    assert notice(page) == ""
    go_to(page, "predict")


def test_the_prefixes_of_a_soft_prompt_are_read_from_the_first_real_token_on(page, classifiers):
    write(page, TEXT)
    switch(page, "prompt")
    go_to(page, "lens")
    expected = words(explained(classifiers["prompt"], lens, TEXT)[-1])
    eventually(page, lambda: takeaway(page, "lens"), expected)
    switch(page, "full")
    go_to(page, "predict")
