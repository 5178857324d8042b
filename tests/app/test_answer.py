"""The last page: five sentences, each with numbers of this text, and with what speaks against it where something does."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
from conftest import TEXT

from app import models
from app.chapters import CHAPTERS, answer, stem
from app.components.points import Points
from gpt2cls_core import Answer, Classifier, trace
from gpt2cls_core import answer as gather

TEXTS = [TEXT, "good", "not bad.", "😀", "<b>x</b>", "{x} ${y}", "**a** *"]


def explained(clf: Classifier, text: str = TEXT):
    (only,) = answer.explain(clf, trace(clf, text))
    return only


def said(point) -> str:
    return "".join(text for text, _ in point.evidence)


def strong(point) -> list[str]:
    return [text for text, is_strong in point.evidence if is_strong]


@pytest.fixture
def results(monkeypatch):
    """Put what was measured in place of assets/results.json."""
    return lambda measured: monkeypatch.setattr(models, "results", lambda: measured)


@pytest.fixture(autouse=True)
def nothing_measured(results):
    results({})


@pytest.fixture
def on_paper(clf2: Classifier, monkeypatch):
    """Explain TEXT with some of its evidence replaced; gives the five points."""

    def points(**changes: object) -> list:
        found = dataclasses.replace(gather(clf2, trace(clf2, TEXT)), **changes)
        monkeypatch.setattr(answer, "answer", lambda clf, trace, **_: found)
        return explained(clf2).points

    return points


def found_in(clf: Classifier, text: str = TEXT) -> Answer:
    return gather(clf, trace(clf, text))


# --- five sentences ---


@pytest.mark.parametrize("text", TEXTS)
def test_there_are_five_sentences_each_with_evidence_and_a_chapter_that_exists(clf2, text):
    points = explained(clf2, text).points
    assert len(points) == 5
    titles = {stem(chapter): f"See chapter {place}: {chapter.TITLE}" for place, chapter in enumerate(CHAPTERS, 1)}
    for point in points:
        assert point.claim.endswith(".")
        assert said(point)
        assert point.link == titles[point.opens]
        assert not re.search(r"\{\w", said(point)), "a gap that was not filled"
    assert len({point.opens for point in points}) == 5


def test_the_sentences_do_not_depend_on_the_text(clf2):
    assert [[p.claim for p in explained(clf2, text).points] for text in TEXTS] == [
        [p.claim for p in explained(clf2).points]
    ] * len(TEXTS)


@pytest.mark.parametrize("text", [TEXT, "not bad."])
def test_each_sentence_quotes_the_library(clf2, text):
    found, read = found_in(clf2, text), trace(clf2, text)
    n, strongest = len(read.tokens), found.strongest
    one, two, three, four, five = map(strong, explained(clf2, text).points)
    margin = f"{float(read.logits.diff()):+.2f}"
    assert one == [str(clf2.d_model), margin]
    assert two == [f"{found.lens.margins[0, -1]:+.2f}", f"{found.cosine:.2f}"]
    assert f"at place {n}," in said(explained(clf2, text).points[1])
    assert three[0] == f"{found.alone.margin_after:+.2f}"
    assert three[-1] == f"{found.brought[strongest]:+.2f}"
    assert f"“{read.tokens[strongest].strip()}” brings most" in said(explained(clf2, text).points[2])
    assert (f"{len(found.flips)}×" in four) == bool(found.flips)
    assert five[:2] == [f"{found.ledger.heads.sum():+.2f}", f"{found.ledger.mlps.sum():+.2f}"]
    assert sum(map(float, five[:3])) == pytest.approx(float(margin), abs=0.021)  # four numbers of two digits
    assert five[3:] == [f"{found.brought_directly[strongest]:+.2f}", f"{found.brought[strongest]:+.2f}"]


def test_more_classes_than_two_are_answered_for_too(clf):
    read = trace(clf, TEXT)
    assert f"“{read.tokens[-1].strip()}” alone" not in said(explained(clf).points[0])
    assert read.label in "".join(text for text, _ in explained(clf).takeaway)


# --- where the evidence is weak or speaks against a sentence ---


def test_a_vector_that_has_hardly_turned_is_owned_up_to(on_paper):
    assert "does not bear" not in said(on_paper(cosine=0.9)[1])
    assert "hardly turned" in said(on_paper(cosine=0.91)[1])


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (-0.5, "turns to"),
        (0.2, "80% of its margin is gone"),
        (0.6, "less than half"),
        (1.4, "less than half"),
        (1.6, "the margin grows"),
    ],
)
def test_what_is_left_of_the_last_token_alone_is_told_as_it_is(clf2, on_paper, share, words):
    alone = found_in(clf2).alone
    after = torch.tensor([0.0, share * alone.margin_clean])
    points = on_paper(alone=dataclasses.replace(alone, logits_after=after))
    assert words in said(points[2])
    assert ("does not bear" in said(points[2])) == (words == "less than half")


@pytest.mark.parametrize(("place", "words"), [(2, "not the same as being surest"), (6, "surest at the end")])
def test_a_better_place_than_the_last_is_named(clf2, on_paper, place, words):
    found = found_in(clf2)
    margins = found.lens.margins.clone()
    margins[-1, :-1] = 0
    margins[-1, place] = 2 * margins[-1, -1]
    products = dataclasses.replace(found.products, margin=float(margins[-1, -1]))
    four = on_paper(lens=dataclasses.replace(found.lens, margins=margins), products=products)[3]
    assert words in said(four)
    assert (f"(token {place + 1})" in said(four)) == (place != 6)
    assert (f"{margins[-1, place]:+.2f}" in strong(four)) == (place != 6)


@pytest.mark.parametrize(("direct", "words"), [(0.4, "by way of other positions"), (0.6, "at least half in one jump")])
def test_detours_are_claimed_only_where_they_are_most(clf2, on_paper, direct, words):
    assert words in said(on_paper(brought_directly=direct * found_in(clf2).brought)[4])


def test_a_single_token_has_nothing_to_bring(clf2):
    three = explained(clf2, "good").points[2]
    assert "nothing to bring" in said(three)
    assert strong(three) == []


# --- what was measured over many texts ---


def test_nothing_is_quoted_that_was_not_measured(clf2):
    assert not any("held-out" in said(point) or "pre-training" in said(point) for point in explained(clf2).points)


def test_what_was_measured_of_the_lens_is_quoted_and_where_it_misleads_most(clf2, results):
    measured = {"n": 321, "majority": 0.53, "head": [0.47, 0.61, 0.6, 0.9], "probe": [0.51, 0.72, 0.8, 0.91]}
    results({"lens": {clf2.name: measured}})
    two = explained(clf2).points[1]
    assert strong(two)[2:] == ["51%", "91%", "60%", "80%"]
    assert "321 held-out" in said(two)
    assert "layer 2" in said(two)
    assert "53%" in said(two)


def test_a_raw_lens_as_good_as_the_probe_is_not_called_misleading(clf2, results):
    measured = {"n": 321, "majority": 0.53, "head": [0.47, 0.7, 0.8, 0.9], "probe": [0.51, 0.72, 0.8, 0.91]}
    results({"lens": {clf2.name: measured}})
    assert "misleads" not in said(explained(clf2).points[1])


def test_pre_training_is_quoted_for_a_bundled_model_alone(clf2, results, monkeypatch):
    curve = [{"tokens": 0, "probe_accuracy": 0.52}, {"tokens": 18_001_920, "probe_accuracy": 0.764}]
    results({"pretraining": {"curve": curve, "probe_baseline_bag_of_words": {"accuracy": 0.76}}})
    assert "pre-training" not in said(explained(clf2).points[3])
    monkeypatch.setattr(answer, "bundled_folder", lambda name: "somewhere")
    four = explained(clf2).points[3]
    assert strong(four)[-2:] == ["52%", "76%"]
    assert "18M tokens" in said(four)
    assert "bag of words" in said(four)
    results({"pretraining": {"curve": curve}})
    assert "bag of words" not in said(explained(clf2).points[3])


def counted(accuracy: float, low: float = 0.0) -> dict:
    return {"accuracy": accuracy, "low": low, "high": 1.0, "n": 872}


def interventions(**read_out: dict) -> dict:
    """What `gpt2cls_core.training.interventions` writes of a model, as far as this page reads it."""
    places = {"first": counted(0.5), "middle": counted(0.7), "mean": counted(0.8), "second_to_last": counted(0.82)}
    return {
        "n": 872,
        "accuracy": {"clean": counted(0.86), "last_token_alone": counted(0.51)},
        "read_out": {**places, "last": counted(0.86), **read_out},
        "prefix": {"percent": [0, 50, 100], "accuracy": [counted(0.5), counted(0.71), counted(0.86)]},
        "one_token": {"n": 200, "top_every": {"mean": 1.234}, "top_direct": {"mean": 0.567}},
    }


def test_what_was_measured_by_intervening_is_quoted(clf2, results):
    results({"interventions": {clf2.name: interventions()}})
    _, _, three, four, five = explained(clf2).points
    assert strong(three)[-2:] == ["86%", "51%"]
    assert strong(four)[-2:] == ["71%", "86%"]
    assert strong(five)[-2:] == ["1.23", "0.57"]
    assert all(f"{n} held-out" in said(p) for n, p in ((872, three), (872, four), (200, five)))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (counted(0.92, 0.87), "the mean of all vectors would be a better place"),
        (counted(0.87, 0.85), "the mean of all vectors is as good a place"),
        (counted(0.85, 0.83), None),
    ],
)
def test_a_better_place_over_many_texts_is_owned_up_to_unless_it_is_chance(clf2, results, place, words):
    results({"interventions": {clf2.name: interventions(mean=place)}})
    four = explained(clf2).points[3]
    assert (" place to read" in said(four)) == (words is not None)
    if words:
        assert words in said(four)
        assert f"{place['accuracy']:.1%}" in strong(four)


def test_a_measurement_without_single_cuts_leaves_them_out(clf2, results):
    results({"interventions": {clf2.name: {**interventions(), "one_token": {"n": 1}}}})
    assert "held-out" not in said(explained(clf2).points[4])


# --- the picture ---


def test_numbers_stand_where_the_sentences_are_seen(clf2):
    found = found_in(clf2)
    _, places = explained(clf2).figure.data
    seen = dict(zip(places.text, zip(places.x, places.y, strict=True), strict=True))
    last, top = len(found.tokens) - 1, clf2.n_layer
    assert (seen["1"], seen["2"], seen["5"]) == ((last, top), (last, 0), (last, top // 2))
    assert seen["3"] == (found.strongest, 0)
    turn = found.flips[-1] if found.flips else found.surest
    assert seen.get("4", (last, top)) == (turn, top)
    assert [words[:2] for words in places.customdata] == [f"{number}." for number in places.text]


@pytest.mark.parametrize("text", TEXTS)
def test_no_two_numbers_share_a_cell(clf2, text):
    _, places = explained(clf2, text).figure.data
    cells = list(zip(places.x, places.y, strict=True))
    assert len(set(cells)) == len(cells) >= 3


def test_the_strip_says_what_each_token_brings(clf2):
    found = found_in(clf2)
    strip = explained(clf2).strip
    assert [item["label"] for item in strip["items"]] == [*(f"{b:+.2f} logits" for b in found.brought[:-1]), ""]
    assert strip["marks"] == [found.strongest]


def test_points_go_to_the_page_as_plain_data(clf2):
    points = explained(clf2, "<b>x</b>").points
    sent = Points.postprocess(None, points)
    assert [list(point) for point in sent] == [["claim", "evidence", "opens", "link"]] * 5
    assert "".join(text for text, _ in sent[0]["evidence"]) == said(points[0])
    assert Points.postprocess(None, None) == []
