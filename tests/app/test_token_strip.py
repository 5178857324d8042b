"""The strip's data: scores become shares of the strongest colour, and nothing else is changed."""

from __future__ import annotations

import math

import pytest

from app.components.token_strip import strip_value

HOSTILE = ["<script>alert(1)</script>", "${alert(1)}", "{{value}}", "\x00", "\u202e", "&amp;", " "]


def strip(scores, *, scale="signed", **options):
    return strip_value([f"t{i}" for i in range(len(scores))], scores, caption="", scale=scale, **options)


def shares(value) -> list[float]:
    return [item["share"] for item in value["items"]]


def labels(value) -> list[str]:
    return [item["label"] for item in value["items"]]


def test_the_largest_score_by_size_has_the_strongest_colour():
    assert shares(strip([1.0, -4.0, 2.0])) == [0.25, -1.0, 0.5]


def test_a_limit_fixes_the_strongest_colour_and_stronger_scores_stop_there():
    assert shares(strip([1.0, -40.0], limit=4.0)) == [0.25, -1.0]


def test_labels_give_the_scores_themselves_not_the_shares():
    assert labels(strip([1.0, -4.0], limit=2.0, unit=" logits")) == ["+1.00 logits", "-4.00 logits"]


def test_only_scales_with_two_sides_write_a_plus():
    assert [labels(strip([0.5], scale=s))[0] for s in ("signed", "more-or-less", "attention", "plain")] == [
        "+0.50",
        "+0.50",
        "0.50",
        "0.50",
    ]


def test_digits_are_as_asked():
    assert labels(strip([12.345], scale="attention", unit=" %", digits=1)) == ["12.3 %"]


def test_a_token_without_a_score_has_neither_colour_nor_label():
    assert strip([None, 3.0])["items"][0] == {"text": "t0", "share": 0.0, "label": ""}


def test_all_scores_zero_or_missing_is_no_division_by_zero():
    assert shares(strip([0.0, 0.0])) == [0.0, 0.0]
    assert shares(strip([None, None])) == [0.0, 0.0]
    assert strip([])["items"] == []


def test_shares_stay_between_minus_one_and_one():
    assert all(-1 <= share <= 1 for share in shares(strip([math.inf, -math.inf, 1e300, -1e-300], limit=1.0)))


def test_texts_are_handed_on_as_they_are():
    value = strip_value(HOSTILE, [0.0] * len(HOSTILE), caption="<b>", scale="plain", marks=(1, 3))
    assert [item["text"] for item in value["items"]] == HOSTILE
    assert (value["caption"], value["marks"], value["scale"]) == ("<b>", [1, 3], "plain")


def test_a_score_too_many_is_refused():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        strip_value(["a"], [1.0, 2.0], caption="", scale="plain")


def test_the_head_reads_the_last_place_unless_told_otherwise():
    assert strip([1.0, 2.0])["read"] == [1]
    assert strip([1.0, 2.0], read=[0, 1])["read"] == [0, 1]


def test_what_is_cut_and_what_a_press_stands_for_is_handed_on():
    value = strip([1.0, 2.0, 3.0], cut=(0, 2), keys=range(5, 8))
    assert (value["cut"], value["keys"]) == ([0, 2], [5, 6, 7])
    assert strip([1.0])["keys"] is None
