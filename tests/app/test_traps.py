"""The chapter on traps says and draws what the library found, and owns up to what can't be made on a text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import END_OF_TEXT, TEXT, save_tiny

from app.chapters import sprung, traps
from app.figures.traps import FILLER_SHOWN, columns_to_show, misread_figure
from gpt2cls_core import (
    Trap,
    batch_pooling,
    class_lens,
    context_overrun,
    embeddings_as_input,
    final_punctuation,
    left_padding,
    load_classifier,
    right_padding,
    trace,
    typed_pad,
)
from gpt2cls_core.trap_result import PAD

CHOICES = [  # options, and the library's result for them
    ({"view": "right"}, right_padding),
    ({"view": "right", "n_pad": 2}, lambda *a: right_padding(*a, n_pad=2)),
    ({"view": "left"}, left_padding),
    ({"view": "left", "without": "mask", "n_pad": 3}, lambda *a: left_padding(*a, missing="mask", n_pad=3)),
    ({"view": "left", "without": "both"}, lambda *a: left_padding(*a, missing="both")),
    ({"view": "batch"}, batch_pooling),
    ({"view": "embeds"}, embeddings_as_input),
    ({"view": "typed"}, typed_pad),
    ({"view": "stop"}, final_punctuation),
    ({"view": "long", "n_cut": 3}, lambda *a: context_overrun(*a, n_cut=3)),
    ({"view": "long", "n_cut": 3, "keep": "tail"}, lambda *a: context_overrun(*a, n_cut=3, keep="tail")),
    ({"view": "long"}, lambda *a: context_overrun(*a, n_cut=7)),  # 8 by default, but the text has 7 tokens
]
DRAWN_WHOLE = [
    choice for choice in CHOICES if choice[0] != {"view": "long", "n_cut": 3} and choice[0] != {"view": "long"}
]
EVERY_CHOICE = pytest.mark.parametrize(("options", "make"), CHOICES, ids=[str(options) for options, _ in CHOICES])
EVERY_WHOLE = pytest.mark.parametrize(
    ("options", "make"), DRAWN_WHOLE, ids=[str(options) for options, _ in DRAWN_WHOLE]
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Two classes and a context of 100, in which filler is left out of the picture."""
    return load_classifier(save_tiny(tmp_path_factory.mktemp("wide"), 2, seed=1, context=100))


@pytest.fixture(scope="module")
def unsure(tmp_path_factory):
    """Two classes, and so little between them that some mistakes turn the verdict, and on "me" none does."""
    return load_classifier(save_tiny(tmp_path_factory.mktemp("unsure"), 2, seed=13))


def explained(clf, text: str = TEXT, **options) -> list:
    return list(traps.explain(clf, trace(clf, text), **options))


def words(explanation) -> str:
    return "".join(text for text, _ in explanation.takeaway)


def strong(explanation) -> list[str]:
    return [text for text, kind in explanation.takeaway if kind is True]


def frames(figure) -> list[tuple[float, str]]:
    """Column and line style of each frame."""
    return [(shape.x0 + 0.5, shape.line.dash or "solid") for shape in figure.layout.shapes]


def rows_of(clf, text: str = TEXT) -> list[Trap]:
    """The library's results in the order of the rows, with the chapter's defaults."""
    read = trace(clf, text)
    n_cut = min(8, len(read.tokens))
    return [
        right_padding(clf, read),
        left_padding(clf, read),
        left_padding(clf, read, missing="mask"),
        left_padding(clf, read, missing="both"),
        batch_pooling(clf, read),
        embeddings_as_input(clf, read),
        typed_pad(clf, read),
        final_punctuation(clf, read),
        context_overrun(clf, read, n_cut=n_cut),
        context_overrun(clf, read, keep="tail", n_cut=n_cut),
    ]


# --- one trap ---


@EVERY_WHOLE
def test_the_picture_is_the_run_as_it_was_fed(clf2, options, make):
    trap = make(clf2, trace(clf2, TEXT))
    (shown,) = explained(clf2, **options)
    assert torch.equal(torch.tensor(shown.figure.data[0].z), trap.margins)
    assert [item["text"] for item in shown.strip["items"]] == list(trap.tokens)
    assert [item["label"] for item in shown.strip["items"]] == [f"{margin:+.2f} logits" for margin in trap.margins[-1]]


@EVERY_WHOLE
def test_the_cell_that_is_read_is_framed_and_the_one_that_should_be_is_dotted(clf2, options, make):
    trap = make(clf2, trace(clf2, TEXT))
    (shown,) = explained(clf2, **options)
    apart = trap.should_read not in (None, trap.read)
    assert frames(shown.figure) == [(trap.read, "solid"), *([(trap.should_read, "dot")] if apart else [])]
    assert {(shape.y0, shape.y1) for shape in shown.figure.layout.shapes} == {(2.5, 3.5)}, "both in the top row"
    assert [a.text for a in shown.figure.layout.annotations] == ["read by the head", *["should be read"] * apart]
    assert shown.strip["read"] == [trap.read]
    assert shown.strip["marks"] == ([trap.should_read] if apart else [])


@EVERY_CHOICE
def test_the_takeaway_gives_right_wrong_and_remedied_and_the_lines(clf2, options, make):
    trap = make(clf2, trace(clf2, TEXT))
    (shown,) = explained(clf2, **options)
    said = strong(shown)
    assert said[:2] == [f"{trap.margin_right:+.2f}", f"{trap.margin_wrong:+.2f}"]
    assert said[2] == (trap.label_wrong if trap.flips else "stays the same")
    assert said[3:] == [f"{trap.margin_remedied:+.2f}"]
    assert words(shown).startswith(f"Fed: {trap.fed}.")
    if options["view"] != "stop":
        assert [text for text, kind in shown.takeaway if kind == "code"] == [trap.mistake, trap.remedy]


@pytest.mark.parametrize(("text", "turns"), [("bad film", True), (TEXT, True), ("me", False), ("good", False)])
def test_the_new_verdict_is_named_where_the_mistake_turns_it_and_that_it_stays_where_it_does_not(unsure, text, turns):
    trap = right_padding(unsure, trace(unsure, text))
    assert trap.flips == turns, "the fixture has changed"
    (shown,) = explained(unsure, text, view="right")
    assert f"({trap.label_right})" in words(shown)
    assert (f"the verdict turns to {trap.label_wrong}." in words(shown)) == turns
    assert ("the verdict stays the same" in words(shown)) != turns


@pytest.mark.parametrize(("read", "should_read", "raised"), [(1, 0, True), (9, 4, True), (9, 3, False)])
def test_two_labels_that_would_meet_stand_one_above_the_other(read, should_read, raised):
    figure = misread_figure(np.zeros((2, 10)), ["t"] * 10, read=read, should_read=should_read, unit="", alt="")
    label = next(a for a in figure.layout.annotations if a.text == "should be read")
    assert bool(label.yshift) == raised
    alone = misread_figure(np.zeros((2, 10)), ["t"] * 10, read=read, should_read=None, unit="", alt="")
    assert (figure.layout.height > alone.layout.height) == raised


def test_the_caption_says_which_of_the_three_cases_it_is(clf2):
    captions = {
        "right": "Underlined: what should be read.",
        "left": "It is the right place, but holds another vector than it should.",
        "long": "What should be read is not there.",
    }
    for trap, end in captions.items():
        assert explained(clf2, view=trap)[0].strip["caption"].endswith(end)


def test_a_typed_end_of_text_is_shown_as_it_was_typed(clf2):
    (shown,) = explained(clf2, view="typed")
    assert shown.strip["items"][-1]["text"] == END_OF_TEXT
    assert "&lt;|endoftext|&gt;" in shown.figure.layout.xaxis.ticktext[-1]


def test_the_text_for_screen_readers_has_both_margins(clf2):
    trap = right_padding(clf2, trace(clf2, TEXT))
    (shown,) = explained(clf2, view="right")
    for part in (trap.name, trap.fed, f"{trap.margin_right:+.2f}", f"{trap.margin_wrong:+.2f}"):
        assert part in shown.figure.layout.meta["alt"]


# --- long texts ---


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_most_of_the_filler_is_left_out_of_the_picture_and_counted(wide, keep):
    trap = context_overrun(wide, trace(wide, TEXT), keep=keep, n_cut=3)
    (shown,) = explained(wide, view="long", keep=keep, n_cut=3)
    texts = [item["text"] for item in shown.strip["items"]]
    (gap,) = [i for i, text in enumerate(texts) if text.startswith("⋯ ")]
    left_out = int(texts[gap].split()[1])
    assert texts[:gap] == list(trap.tokens[:gap])
    assert texts[gap + 1 :] == list(trap.tokens[gap + left_out :])
    assert len(texts) - 1 + left_out == wide.context
    margins = torch.tensor(shown.figure.data[0].z)
    assert margins[:, gap].isnan().all()
    assert shown.strip["items"][gap]["label"] == ""
    assert float(margins[-1, -1]) == pytest.approx(trap.margin_wrong, abs=1e-5)  # float32
    assert frames(shown.figure)[0] == (len(texts) - 1, "solid")
    json.dumps([json.loads(shown.figure.to_json()), shown.strip], allow_nan=False)


def test_columns_are_those_near_the_text_and_near_the_end():
    filler, text = ["filler"] * 40, ["text"] * 3
    near = FILLER_SHOWN
    assert columns_to_show([*filler, *text]) == [None, *range(40 - near, 43)]
    assert columns_to_show([*text, *filler]) == [*range(3 + near), None, *range(43 - near, 43)]
    assert columns_to_show(filler) == [None, *range(40 - near, 40)]
    assert columns_to_show(["text", "pad"]) == [0, 1]
    assert columns_to_show(["text"] * 2 + ["filler"] * 12) == list(range(14)), "nothing to leave out"


# --- all at once ---


def test_all_at_once_draws_every_trap_with_its_two_margins(clf2):
    first, last = explained(clf2)
    made = rows_of(clf2)
    _, right, wrong = last.figure.data
    assert list(right.x) == [trap.margin_right for trap in made]
    assert list(wrong.x) == [trap.margin_wrong for trap in made]
    assert list(right.y) == list(wrong.y) == list(range(10))
    assert list(first.figure.data[2].x) == list(wrong.x)[:8], "texts that are too long come later"
    assert "on their way" in words(first)
    assert "on their way" not in words(last)


@pytest.mark.parametrize("text", ["good", "bad film", "not", "me", TEXT])
def test_all_at_once_counts_and_names_those_that_turn_the_verdict(unsure, text):
    made = rows_of(unsure, text)
    turned = [name for (name, _), trap in zip(sprung.ROWS, made, strict=True) if trap.flips]
    most = max(made, key=lambda trap: abs(trap.change))
    last = explained(unsure, text)[-1]
    label = trace(unsure, text).label
    assert strong(last) == [label, str(len(turned)) if turned else "none", f"{most.margin_wrong:+.2f}"]
    assert sprung.listed(turned) in words(last)
    assert bool(turned) == (text != "me"), "the fixture has changed"


def test_names_are_listed_as_in_a_sentence():
    assert [sprung.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "“a”",
        "“a” and “b”",
        "“a”, “b” and “c”",
    ]


@pytest.mark.parametrize("text", ["bad film", "me"])
def test_a_row_says_whether_the_verdict_turns(unsure, text):
    said = [a.text for a in explained(unsure, text)[-1].figure.layout.annotations if " → " in a.text]
    assert [words.startswith("turns") for words in said] == [trap.flips for trap in rows_of(unsure, text)]


def test_all_at_once_shows_the_text_itself_on_the_strip(clf2):
    for shown in explained(clf2):
        assert [item["text"] for item in shown.strip["items"]] == list(trace(clf2, TEXT).tokens)
        assert shown.strip["read"] == [6]


@pytest.mark.parametrize("place", range(len(sprung.ROWS)))
def test_a_pressed_row_opens_the_trap_that_it_shows(clf2, place):
    options = traps.press_cell({"view": "all"}, {"x": 0.5, "y": place})
    trap = rows_of(clf2)[place]
    (shown,) = explained(clf2, **options)
    assert strong(shown)[:2] == [f"{trap.margin_right:+.2f}", f"{trap.margin_wrong:+.2f}"]


def test_a_press_on_a_single_trap_or_beside_the_rows_changes_nothing():
    assert traps.press_cell({"view": "right"}, {"x": 3, "y": 2}) == {}
    assert traps.press_cell({"view": "all"}, {"x": 3, "y": 17}) == {}


# --- no room ---


def test_where_the_context_has_no_room_the_message_says_so_and_the_text_is_shown(clf2):
    full = "x" * 12
    for options in ({"view": "right"}, {"view": "left"}, {"view": "batch"}, {"view": "embeds"}, {"view": "typed"}):
        (shown,) = explained(clf2, full, **options)
        assert "can't be made on your text" in words(shown)
        assert "There is no room for" in words(shown)
        assert torch.equal(torch.tensor(shown.figure.data[0].z), class_lens(clf2, trace(clf2, full)).margins)
    (shown,) = explained(clf2, "x" * 13, view="long")
    assert "The text alone is longer than the 12 tokens" in words(shown)


def test_all_at_once_makes_what_can_be_made(clf2):
    last = explained(clf2, "x" * 13)[-1]
    made = [list(points.y) for points in last.figure.data[1:]]
    assert made == [[7], [7]], "the full stop alone"
    assert [a.text for a in last.figure.layout.annotations].count("no room in the context") == 9
    assert "Some could not be made: There is no room for 4 more" in words(last)


def test_where_nothing_can_be_made_nothing_is_claimed(clf2):
    last = explained(clf2, "x" * 100_000)[-1]  # one more character, such as a full stop, is too many to read
    assert "can't be made on your text" in words(last)
    assert strong(last) == []


# --- more classes ---


def test_with_more_classes_labels_are_named_and_every_trap_has_the_same_two(clf):
    label = trace(clf, TEXT).label
    for options, make in CHOICES:
        trap = make(clf, trace(clf, TEXT))
        (shown,) = explained(clf, **options)
        assert f"({trap.label_right})" in words(shown)
        assert label in shown.figure.data[0].colorbar.title.text


def test_pads_are_shown_as_pads_where_they_were_fed(clf2):
    for options, places in (({"view": "right"}, range(7, 11)), ({"view": "left"}, range(4))):
        texts = [item["text"] for item in explained(clf2, **options)[0].strip["items"]]
        assert [i for i, text in enumerate(texts) if text == PAD] == list(places)


def test_every_trap_has_a_row_and_its_reason():
    names = {value for _, value in traps.VIEWS} - {"all"}
    assert {row["view"] for _, row in sprung.ROWS} == names == set(traps.WHY)
    assert {row["without"] for _, row in sprung.ROWS if "without" in row} == {value for _, value in traps.MISSING}
    assert {row["keep"] for _, row in sprung.ROWS if "keep" in row} == {value for _, value in traps.KEEP}
