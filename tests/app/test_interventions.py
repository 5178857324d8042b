"""Every view of "Prove it" says what the library computed, presses set what they should, and whatever is asked is answered."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import pytest
import torch
from adapters import save_base, save_changes
from conftest import TEXT
from hypothesis import given
from hypothesis import strategies as st

from app import models, pace
from app.chapters import interventions, patched, removed
from app.chapters.interventions import cut_positions, explain, press_cell, press_token, toggled
from app.swaps import suggested_swap
from gpt2cls_core import (
    OptionError,
    ablate_direction,
    ablate_head,
    ablate_mlp,
    class_lens,
    cut_attention,
    cut_each,
    load_classifier,
    patch_grid,
    patch_states,
    predict,
    punctuation_positions,
    read_out_at,
    sentiment_directions,
    trace,
)
from gpt2cls_core.lens import head_logits

VIEWS = [value for _, value in interventions.VIEWS]
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS)
NUMBER = re.compile(r"exactly 0\.0|[-+]\d+\.\d\d")
SWAPPED = TEXT.replace("film", "me")  # as many tokens
LONGER = TEXT.replace("film", "bad film")


def said(explained) -> str:
    return "".join(text for text, _ in explained.takeaway)


def margins(explained) -> list[str]:
    """The signed numbers of the takeaway, in order."""
    return NUMBER.findall(said(explained))


def last(clf, text: str = TEXT, **options):
    """What the chapter says in the end."""
    *_, explained = explain(clf, trace(clf, text), **options)
    return explained


def drawn(explained) -> torch.Tensor:
    """The numbers of the figure's grid or table."""
    return torch.tensor(explained.figure.data[0].z)


def labels(explained) -> list[str]:
    return [item["label"] for item in explained.strip["items"]]


def logits(value: float) -> str:
    return f"{value:+.2f} logits"


def grid_after(clf, effect) -> torch.Tensor:
    """The head's margin in every cell after an intervention."""
    cells = head_logits(clf, effect.resid)
    return cells[..., effect.target] - cells[..., effect.other]


def frames(figure) -> list[tuple]:
    return [(shape.x0, shape.x1, shape.y0, shape.y1) for shape in figure.layout.shapes]


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    """Three virtual tokens before every text."""
    return load_classifier(save_changes(save_base(tmp_path_factory.mktemp("shelf") / "base"), "prompt"))


@pytest.fixture(autouse=True)
def nothing_kept():
    models.kept.cache_clear()


# --- cut ---


def test_without_a_cut_the_grid_is_the_lens_and_the_strip_says_what_each_cut_would_do(clf2):
    read = trace(clf2, TEXT)
    explained = last(clf2)
    assert torch.equal(drawn(explained), class_lens(clf2, read).margins)
    moves = cut_each(clf2, read) - predict(clf2, TEXT).margin
    assert labels(explained) == [*map(logits, moves[:-1].tolist()), ""]
    assert explained.strip["cut"] == []
    top = int(moves[:-1].abs().argmax())
    assert f"“{read.tokens[top].strip()}” counts most" in said(explained)
    assert margins(explained) == [f"{predict(clf2, TEXT).margin:+.2f}", f"{moves[top]:+.2f}"]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"cut": "1"}, {"sources": [1]}),
        ({"cut": "1,4"}, {"sources": [1, 4]}),
        ({"cut": "1", "route": "direct"}, {"sources": [1], "route": "direct"}),
        ({"cut": "0,2", "low": 2, "high": 3}, {"sources": [0, 2], "layers": [1, 2]}),
        ({"cut": "0,2", "low": 3, "high": 2}, {"sources": [0, 2], "layers": [1, 2]}),
        ({"cut": "0", "low": 2, "high": 0}, {"sources": [0], "layers": [1, 2]}),
        ({"cut": "0", "low": -7, "high": 99}, {"sources": [0]}),
        ({"cut": "all"}, {"sources": range(6)}),
        ({"cut": "all,1"}, {"sources": [0, 2, 3, 4, 5]}),
    ],
    ids=str,
)
def test_a_cut_quotes_and_draws_what_the_library_computes(clf2, options, arguments):
    read = trace(clf2, TEXT)
    effect = cut_attention(clf2, read, **arguments)
    explained = last(clf2, **options)
    assert margins(explained)[:2] == [f"{effect.margin_clean:+.2f}", f"{effect.margin_after:+.2f}"]
    assert ("turns from" in said(explained)) == effect.flipped
    assert torch.equal(drawn(explained), grid_after(clf2, effect) - class_lens(clf2, read).margins)
    assert explained.strip["cut"] == list(arguments["sources"])
    struck = [i for i, name in enumerate(explained.figure.layout.xaxis.ticktext) if name.startswith("<s>")]
    assert struck == list(arguments["sources"])
    assert "softmax" in said(explained)
    assert ("in layer" in said(explained)) == ("layers" in arguments)


def test_the_grid_is_untouched_where_a_cut_cannot_reach(clf2):
    direct = drawn(last(clf2, cut="1", route="direct"))
    assert (direct[:, :-1] == 0).all()  # exactly: only the last position reads otherwise
    assert (direct[1:, -1] != 0).all()
    late = drawn(last(clf2, cut="1", low=3, high=3))
    assert (late[:3] == 0).all()
    assert (late[3, 2:] != 0).all()
    assert (late[:, :2] == 0).all()


def test_with_everything_cut_every_text_that_ends_alike_gets_the_same_margin(clf2):
    for text in (TEXT, "good but but not not film me"):
        assert len(trace(clf2, text).tokens) == 7
        explained = last(clf2, text, cut="all")
        assert "any text of 7 tokens that ends so gets this margin" in said(explained)
        assert margins(explained)[1] == margins(last(clf2, cut="all"))[1]


def test_with_everything_cut_in_some_layers_only_that_is_not_claimed(clf2):
    assert "gets this margin" not in said(last(clf2, cut="all", low=2))


def test_cuts_together_are_compared_with_cuts_one_at_a_time(clf2):
    read = trace(clf2, TEXT)
    moves = cut_each(clf2, read) - predict(clf2, TEXT).margin
    together = cut_attention(clf2, read, [1, 4]).change
    assert margins(last(clf2, cut="1,4"))[-2:] == [f"{moves[[1, 4]].sum():+.2f}", f"{together:+.2f}"]


def test_a_cut_that_hardly_moves_anything_is_said_to_be_one(clf2, monkeypatch):
    for little in (0, 1e9):
        monkeypatch.setattr(removed, "LITTLE", little)
        for options in ({"cut": "1"}, {"cut": ""}):
            words = said(last(clf2, **options))
            hardly = "hardly a move" in words or "No single token counts for much" in words
            assert hardly == (bool(little) and "turns from" not in words), options


@pytest.mark.parametrize("cut", ["", "0", "all", "all,0", "5"])
def test_one_token_leaves_nothing_to_cut(clf2, cut):
    explained = last(clf2, "good", cut=cut)
    assert "“good” has nothing before it that could be cut" in said(explained)
    assert explained.strip["cut"] == []


def test_on_a_slow_model_the_verdict_comes_before_the_strips_colours(clf2, monkeypatch):
    monkeypatch.setattr(removed, "SLOW", 0)
    first, second = explain(clf2, trace(clf2, TEXT), cut="1")
    assert set(labels(first)) == {""}
    assert (first.strip["cut"], first.figure) == ([1], second.figure)
    assert said(second).startswith(said(first))


def test_cuts_that_take_too_long_stop_and_say_so(clf2, monkeypatch):
    monkeypatch.setattr(pace, "MOST_SECONDS", -1)
    explained = last(clf2, view="cut")
    n = len(trace(clf2, TEXT).tokens)
    assert [item["label"] for item in explained.strip["items"]] == [
        ""
    ] * n  # what is known is the last one's, which isn't cut
    assert f"and {n - 1} tokens at the start were not tried" in said(explained)


def test_pressing_on_does_not_cut_each_token_again(clf2, monkeypatch):
    read = trace(clf2, TEXT)
    before = labels(list(explain(clf2, read))[-1])
    monkeypatch.setattr(removed, "cut_each_steps", None)
    assert labels(list(explain(clf2, read, cut="1"))[-1]) == before


# --- which tokens are cut ---


@pytest.mark.parametrize(
    ("raw", "positions"),
    [
        ("", ()),
        ("3,1", (1, 3)),
        ("6", ()),  # the last token
        ("7,99999999999999999999,-1,x, 2,٣,1.5,1", (1,)),
        ("all", (0, 1, 2, 3, 4, 5)),
        ("all,2,5", (0, 1, 3, 4)),
        (None, ()),
    ],
)
def test_positions_are_read_as_far_as_the_text_has_them(raw, positions):
    assert cut_positions(raw, 7) == positions


@given(st.text(), st.integers(1, 20))
def test_any_string_names_positions_before_the_last(raw, n_tokens):
    assert set(cut_positions(raw, n_tokens)) <= set(range(n_tokens - 1))


@given(st.booleans(), st.sets(st.integers(0, 30)), st.integers(0, 30))
def test_toggling_changes_one_token_and_a_second_time_changes_it_back(everything, named, position):
    raw = ",".join([*(["all"] if everything else []), *map(str, sorted(named))])
    before, once = set(cut_positions(raw, 32)), toggled(raw, position)
    assert set(cut_positions(once, 32)) == before ^ {position}
    assert set(cut_positions(toggled(once, position), 32)) == before


@given(st.text())
def test_toggling_any_string_gives_positions(raw):
    assert re.fullmatch(r"(all,)?\d+(,\d+)*|all|", toggled(raw, 3))


# --- presses ---


def token(key: int | None, back: int = 1) -> dict:
    return {"index": 0, "back": back, "key": key, "x": None, "y": None}


def cell(x: object, y: object) -> dict:
    return {"index": None, "back": None, "key": None, "x": x, "y": y}


def test_a_press_on_a_token_cuts_it_and_on_the_last_one_does_nothing():
    options = {"view": "cut", "cut": "1", "at": ""}
    assert press_token(options, token(3)) == {"cut": "1,3"}
    assert press_token(options, token(1)) == {"cut": ""}
    assert press_token(options, token(6, back=0)) == {}


@pytest.mark.parametrize("view", ["swap", "patch", "elsewhere"])
def test_a_press_on_a_token_chooses_the_word_and_a_second_one_leaves_the_choice_open(view):
    assert press_token({"view": view, "cut": "", "at": ""}, token(3, back=0)) == {"at": "3"}
    assert press_token({"view": view, "cut": "", "at": "3"}, token(3)) == {"at": ""}
    assert press_token({"view": view, "cut": "", "at": "3"}, token(0)) == {"at": "0"}


@EVERY_VIEW
def test_a_token_that_stands_for_nothing_changes_nothing(view):
    assert press_token({"view": view, "cut": "", "at": ""}, token(None)) == {}


@EVERY_VIEW
def test_tokens_look_pressable_where_a_press_does_something(clf2, view):
    keys = last(clf2, view=view).strip["keys"]
    assert (keys is None) == (view == "ablate")


def test_a_press_on_a_cell_cuts_copies_or_silences():
    options = {"view": "cut", "cut": "", "cell": "", "part": ""}
    assert press_cell(options, cell(2, 5)) == {"cut": "2"}
    assert press_cell({**options, "view": "patch"}, cell(2, 5)) == {"cell": "5-2"}
    assert press_cell({**options, "view": "patch", "cell": "5-2"}, cell(2, 5)) == {"cell": ""}
    assert press_cell({**options, "view": "ablate"}, cell("head 2", "layer 3")) == {"part": "3-2"}
    assert press_cell({**options, "view": "ablate"}, cell("MLP", "layer 3")) == {"part": "3-0"}
    assert press_cell({**options, "view": "ablate", "part": "3-0"}, cell("MLP", "layer 3")) == {"part": ""}
    assert press_cell({**options, "view": "swap"}, cell(2, 5)) == {}


def test_a_press_on_a_head_in_the_figure_silences_it(clf2):
    table = last(clf2, view="ablate").figure.data[0]
    pressed = press_cell({"view": "ablate", "part": ""}, cell(table.x[1], table.y[2]))
    effect = ablate_head(clf2, trace(clf2, TEXT), 2, 1)
    assert margins(last(clf2, view="ablate", **pressed))[1] == f"{effect.margin_after:+.2f}"
    pressed = press_cell({"view": "ablate", "part": ""}, cell(table.x[-1], table.y[0]))
    effect = ablate_mlp(clf2, trace(clf2, TEXT), 0)
    assert margins(last(clf2, view="ablate", **pressed))[1] == f"{effect.margin_after:+.2f}"


def test_a_press_on_a_word_of_the_swapped_text_chooses_it_in_the_text_as_it_was(clf2):
    swapped = last(clf2, view="swap", at="1", new="bad film")
    assert [item["text"] for item in swapped.strip["items"]] == list(trace(clf2, LONGER).tokens)
    place = next(i for i, item in enumerate(swapped.strip["items"]) if item["text"] == " for")
    pressed = press_token({"view": "swap", "at": "1"}, token(swapped.strip["keys"][place]))
    assert "for “for”" in said(last(clf2, view="swap", new="film", **pressed))


# --- swap ---


def test_a_swap_quotes_both_verdicts_and_draws_the_change_in_every_cell(clf2):
    before, after = trace(clf2, TEXT), trace(clf2, SWAPPED)
    explained = last(clf2, view="swap", at="1", new="me")
    assert margins(explained)[:2] == [f"{predict(clf2, text).margin:+.2f}" for text in (TEXT, SWAPPED)]
    assert ("turns from" in said(explained)) == (before.label != after.label)
    moves = class_lens(clf2, after).margins - class_lens(clf2, before).margins
    assert torch.allclose(drawn(explained), moves, atol=1e-4)  # what is below is shown as nothing
    assert explained.strip["marks"] == [1]
    assert labels(explained) == [logits(move) for move in drawn(explained)[-1]]


@pytest.mark.parametrize(("at", "new"), [("5", "me"), ("5", "bad film"), ("3", "x")])
def test_left_of_a_swap_nothing_moves_at_all(clf2, at, new):
    explained = last(clf2, view="swap", at=at, new=new)
    assert "moves by exactly 0.0 at every token" in said(explained)
    left = drawn(explained)[:, : int(at)]
    assert left.numel()
    assert (left == 0).all()


def test_the_first_word_has_nothing_left_of_it(clf2):
    assert "nothing is left of it" in said(last(clf2, view="swap", at="0", new="me"))


def test_a_longer_word_leaves_cells_without_a_counterpart_empty_and_says_that_the_rest_moved(clf2):
    explained = last(clf2, view="swap", at="1", new="bad film")
    tokens = trace(clf2, LONGER).tokens
    extra = len(tokens) - 7
    assert f"takes {extra} token more than" in said(explained)
    assert drawn(explained).isnan().any(0).nonzero().flatten().tolist() == list(range(1, 1 + extra))
    assert "takes 3 tokens fewer than" in said(last(clf2, "good xyz film", view="swap", at="2", new="me"))


def test_the_same_word_changes_nothing(clf2):
    for view in ("swap", "patch"):
        explained = last(clf2, view=view, at="1", new="film")
        assert "stands there already: nothing changes" in said(explained)
        assert (drawn(explained) == 0).all()


def test_a_swap_that_nobody_asked_for_is_said_to_be_the_pages(clf2):
    swap = suggested_swap(clf2, trace(clf2, TEXT))
    words = said(last(clf2, view="swap"))
    assert "The page chose this swap" in words
    assert f"With “{swap.new}” for “{swap.word.text}”" in words
    assert "The page chose" not in said(last(clf2, view="swap", new="me"))


def test_a_window_that_moved_is_owned_up_to(clf2):
    long = " ".join(["film"] * 14)
    words = said(last(clf2, long, view="swap", at="5", new="film film"))
    assert "another part of its beginning is left out" in words
    assert "exactly 0.0" not in words


@pytest.mark.parametrize("view", ["swap", "patch", "elsewhere"])
@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        (" \n a", {"at": "0"}, "only a blank"),
        ("a" + " \n" * 20, {}, "no word to swap"),
        (TEXT, {"new": "\ud800"}, "half of a surrogate pair"),
        (TEXT, {"new": "x" * 100_001}, "shorten it"),
    ],
    ids=["a blank", "blanks alone", "half a character", "too long"],
)
def test_a_swap_that_cannot_be_made_is_explained_beside_the_text_as_it_is(clf2, view, text, options, problem):
    explained = last(clf2, text, view=view, **options)
    assert problem in said(explained)
    assert torch.equal(drawn(explained), class_lens(clf2, trace(clf2, text)).margins)
    assert [item["text"] for item in explained.strip["items"]] == list(trace(clf2, text).tokens)


# --- patch ---


def test_patching_draws_how_far_each_cell_moves_the_other_verdict(clf2):
    clean, corrupted = trace(clf2, TEXT), trace(clf2, SWAPPED)
    grid = patch_grid(clf2, clean, corrupted)
    explained = last(clf2, view="patch", at="1", new="me")
    assert torch.allclose(drawn(explained), grid.margins - grid.margin_corrupted)
    assert margins(explained)[:2] == [f"{grid.margin_clean:+.2f}", f"{grid.margin_corrupted:+.2f}"]
    largest = [max(column, key=abs) for column in (grid.margins - grid.margin_corrupted).T.tolist()]
    assert labels(explained) == [logits(move) for move in largest]


def test_patching_says_where_half_of_the_verdict_can_be_brought_back(clf2):
    effects = patch_grid(clf2, trace(clf2, TEXT), trace(clf2, SWAPPED)).effects
    words = said(last(clf2, view="patch", at="1", new="me"))
    above = next(layer for layer in range(4) if layer == 3 or not effects[layer + 1, 1] >= 0.5)
    below = max([layer + 1 for layer in range(4) if not effects[layer, -1] >= 0.5], default=0)
    assert effects[0, 1] == pytest.approx(1, abs=1e-4)  # the embedding is all that differs
    assert f"back up to layer {above}, the last column from layer {below} on" in words
    between = effects[:, 2:-1]
    layer, column = divmod(int(between.argmax()), between.shape[1])
    name = trace(clf2, TEXT).tokens[2 + column].strip()
    assert f"“{name}” at layer {layer} brings back most: {between.max():.0%}".replace("-0%", "0%") in words


@pytest.mark.parametrize("place", [(0, 1), (2, 3), (3, 6)])
def test_one_cell_can_be_read(clf2, place):
    clean, corrupted = trace(clf2, TEXT), trace(clf2, SWAPPED)
    effect = patch_states(clf2, clean, corrupted, [place])
    way = predict(clf2, TEXT).margin - predict(clf2, SWAPPED).margin
    explained = last(clf2, view="patch", at="1", new="me", cell=f"{place[0]}-{place[1]}")
    share = f"{effect.change / way:.0%}".replace("-0%", "0%")
    assert f"to {effect.margin_after:+.2f}: {share} of the way" in said(explained)
    assert frames(explained.figure)[-1] == (place[1] - 0.5, place[1] + 0.5, place[0] - 0.5, place[0] + 0.5)


@pytest.mark.parametrize("raw", ["", "x", "4-0", "0-7", "-1-2", "1", "1-", "1-2-3", "²-1", "9" * 50 + "-1"])
def test_a_cell_that_is_none_is_not_read(clf2, raw):
    explained = last(clf2, view="patch", at="1", new="me", cell=raw)
    assert "Press a cell" in said(explained)
    assert len(frames(explained.figure)) == 1  # what the head reads


def test_texts_of_unequal_length_are_not_patched_and_another_word_is_offered_that_works(clf2):
    explained = last(clf2, view="patch", at="1", new="bad film")
    n = len(trace(clf2, LONGER).tokens)
    assert f"these have 7 and {n}" in said(explained)
    offered = re.search(r"Here “(.*)” would do", said(explained))[1]
    assert "Press a cell" in said(last(clf2, view="patch", at="1", new=offered))


def test_where_no_word_fits_none_is_offered(clf2):
    assert "would do" not in said(last(clf2, "good film", view="patch", at="1", new="bad film"))


def test_a_swap_of_the_last_token_has_no_way_to_go(clf2):
    assert "no way to go" in said(last(clf2, view="patch", at="6", new="for"))
    assert "no way to go" in said(last(clf2, "good", view="patch", new="x"))


def test_equal_verdicts_leave_no_way_back_and_no_shares(clf2, monkeypatch):
    monkeypatch.setattr(patched, "ALIKE", 1e9)
    words = said(last(clf2, view="patch", at="1", new="me", cell="1-1"))
    assert "hardly a way to go back" in words
    assert "%" not in words


def test_a_grid_that_takes_long_is_shown_from_the_top_down(clf2, monkeypatch):
    monkeypatch.setattr(pace, "PARTIAL_SECONDS", -1)
    pictures = list(explain(clf2, trace(clf2, TEXT), view="patch", at="1", new="me"))
    assert len(pictures) == clf2.n_layer + 1
    for rows, explained in enumerate(pictures, 1):
        known = ~drawn(explained).isnan().any(1)
        assert known.tolist() == [row > clf2.n_layer - rows for row in range(clf2.n_layer + 1)]
        json.dumps([json.loads(explained.figure.to_json()), explained.strip], allow_nan=False)
        progress = f"{rows} of {clf2.n_layer + 1} layers so far"
        assert (progress in said(explained)) == (rows <= clf2.n_layer)


def test_a_grid_that_takes_too_long_stops_and_says_so(clf2, monkeypatch):
    monkeypatch.setattr(pace, "MOST_SECONDS", -1)
    (explained,) = explain(clf2, trace(clf2, TEXT), view="patch", at="1", new="me", cell="1-1")
    assert f"stops after 1 of {clf2.n_layer + 1} layers" in said(explained)
    assert drawn(explained)[:-1].isnan().all()
    effect = patch_states(clf2, trace(clf2, TEXT), trace(clf2, SWAPPED), [(1, 1)])
    assert f"to {effect.margin_after:+.2f}" in said(explained)  # one cell is cheap, whatever the text's length


def test_pressing_a_cell_does_not_patch_all_of_them_again(clf2, monkeypatch):
    read = trace(clf2, TEXT)
    before = list(explain(clf2, read, view="patch", at="1", new="me"))[-1]
    monkeypatch.setattr(patched, "patch_grid_rows", None)
    after = list(explain(clf2, read, view="patch", at="1", new="me", cell="1-1"))[-1]
    assert torch.equal(drawn(before), drawn(after))


# --- ablate ---


def test_the_table_is_what_silencing_each_part_moves(clf2):
    read = trace(clf2, TEXT)
    table = drawn(last(clf2, view="ablate"))
    assert table.shape == (clf2.n_layer, clf2.n_head + 1)
    for layer in range(clf2.n_layer):
        parts = [*(ablate_head(clf2, read, layer, head) for head in range(clf2.n_head)), ablate_mlp(clf2, read, layer)]
        assert table[layer].tolist() == pytest.approx([part.change for part in parts], abs=1e-4)  # in one batch


def test_the_part_that_moves_most_is_quoted_unless_another_is_chosen(clf2):
    read = trace(clf2, TEXT)
    explained = last(clf2, view="ablate")
    layer, column = divmod(int(drawn(explained).abs().argmax()), clf2.n_head + 1)
    part = ablate_mlp(clf2, read, layer) if column == clf2.n_head else ablate_head(clf2, read, layer, column)
    assert margins(explained)[:2] == [f"{part.margin_clean:+.2f}", f"{part.margin_after:+.2f}"]
    assert "No other part" in said(explained)
    assert frames(explained.figure) == [(column - 0.5, column + 0.5, layer - 0.5, layer + 0.5)]
    chosen = next(raw for raw in ("1-1", "2-1") if raw != f"{layer + 1}-{column + 1}")
    explained = last(clf2, view="ablate", part=chosen)
    effect = ablate_head(clf2, read, int(chosen[0]) - 1, 0)
    assert margins(explained)[1] == f"{effect.margin_after:+.2f}"
    assert "No other part" not in said(explained)
    running = (grid_after(clf2, effect) - class_lens(clf2, read).margins)[-1]
    assert labels(explained) == [logits(move) for move in running.tolist()]


def test_heads_that_matter_are_counted(clf2, monkeypatch):
    margin = predict(clf2, TEXT).margin
    heads = drawn(last(clf2, view="ablate"))[:, :-1]
    monkeypatch.setattr(removed, "LITTLE", float(heads.abs().median()) / abs(margin))
    count = int((heads.abs() > heads.abs().median()).sum())
    turned = int(((heads + margin > 0) != (margin > 0)).sum())
    assert f"Of 6 heads {count} move" in said(last(clf2, view="ablate"))
    assert f"and {turned} turn its sign" in said(last(clf2, view="ablate"))
    monkeypatch.setattr(removed, "LITTLE", 1e9)
    assert "None of the 6 heads" in said(last(clf2, view="ablate"))


@pytest.mark.parametrize("raw", ["x", "0-1", "4-1", "1-3", "1", "-", "9" * 50 + "-1"])
def test_a_part_that_is_none_leaves_the_one_that_moves_most(clf2, raw):
    assert said(last(clf2, view="ablate", part=raw)) == said(last(clf2, view="ablate"))


@pytest.mark.parametrize("text", [TEXT, "good, not bad, for me", "good film for me"])
def test_the_direction_of_sentiment_is_taken_out_where_the_head_does_not_read(clf2, text):
    read = trace(clf2, text)
    directions = sentiment_directions(clf2)
    everywhere = ablate_direction(clf2, read, directions, range(len(read.tokens) - 1)).margin_after
    marks = punctuation_positions(read)
    expected = [f"{everywhere:+.2f}"]
    if marks:
        expected.insert(0, f"{ablate_direction(clf2, read, directions, marks).margin_after:+.2f}")
    explained = last(clf2, text, view="ablate")
    assert margins(explained)[-len(expected) :] == expected
    assert ("no comma or full stop" in said(explained)) == (not marks)
    assert ("one punctuation mark" in said(explained)) == (len(marks) == 1)


def test_on_a_slow_model_the_mlps_come_before_the_heads(clf2, monkeypatch):
    monkeypatch.setattr(removed, "SLOW", 0)
    first, second = explain(clf2, trace(clf2, TEXT), view="ablate")
    assert drawn(first)[:, :-1].isnan().all()
    assert torch.equal(drawn(first)[:, -1], drawn(second)[:, -1])
    assert "still being silenced" in said(first)
    json.dumps(json.loads(first.figure.to_json()), allow_nan=False)


# --- read elsewhere ---


def test_elsewhere_quotes_the_four_readings_and_what_the_swap_does_to_each(clf2):
    before, after = trace(clf2, TEXT), trace(clf2, TEXT.replace("for", "me"))
    places = ("first", "middle", "mean", "last")
    readings = [read_out_at(clf2, before, place).margin_after for place in places]
    moves = [read_out_at(clf2, after, place).margin_after - read for place, read in zip(places, readings, strict=True)]
    assert moves[0] == moves[1] == 0  # the swapped word is behind the middle
    explained = last(clf2, view="elsewhere", at="5", new="me")
    expected = (
        [f"{reading:+.2f}" for reading in readings] + ["exactly 0.0"] * 2 + [f"{move:+.2f}" for move in moves[2:]]
    )
    assert margins(explained)[:8] == expected
    assert "that is exactly 0.0, not nearly" in said(explained)


@pytest.mark.parametrize("new", ["me", "bad bad bad"])
def test_an_edit_behind_the_place_that_is_read_changes_nothing_also_where_the_length_changes(clf2, new):
    numbers = margins(last(clf2, view="elsewhere", at="5", new=new))
    assert numbers[4:6] == ["exactly 0.0", "exactly 0.0"]


def test_the_first_word_is_seen_from_everywhere(clf2):
    explained = last(clf2, view="elsewhere", at="0", new="me")
    assert "every place sees it" in said(explained)
    assert "exactly 0.0" not in said(explained)


@pytest.mark.parametrize(
    ("read", "first", "end"), [("first", 0, 0), ("middle", 3, 3), ("mean", 0, 6), ("last", 6, 6), ("x", 0, 0)]
)
def test_the_frame_is_where_the_head_reads(clf2, read, first, end):
    explained = last(clf2, view="elsewhere", read=read, at="1", new="me")
    assert frames(explained.figure) == [(first - 0.5, end + 0.5, 2.5, 3.5)]
    assert explained.strip["read"] == list(range(first, end + 1))
    assert torch.equal(drawn(explained), class_lens(clf2, trace(clf2, TEXT)).margins)


def test_one_token_is_all_places_at_once(clf2):
    assert "all these places are one" in said(last(clf2, "good", view="elsewhere"))


# --- what was measured over many texts ---


def test_measured_accuracies_are_quoted_beside_the_one_text(clf2, monkeypatch):
    def accuracy(*names: str, start: float) -> dict:
        return {name: {"accuracy": start + i / 100} for i, name in enumerate(names)}

    entry = {
        "n": 321,
        "accuracy": accuracy("clean", "last_token_alone", start=0.8),
        "read_out": accuracy("first", "middle", "mean", "last", start=0.5),
        "direction": {
            "n": 45,
            "clean": {"accuracy": 0.9},
            "head": accuracy("punctuation", "random", "all_but_last", "everywhere", start=0.6),
        },
    }
    unmeasured = {view: said(last(clf2, view=view, cut="all")) for view in ("cut", "ablate", "elsewhere")}
    monkeypatch.setattr(models, "results", lambda: {"interventions": {clf2.name: entry}})
    models.kept.cache_clear()
    for view, n, shares in [
        ("cut", "321", ["80%", "81%"]),
        ("ablate", "45", ["90%", "60%", "61%", "62%"]),
        ("elsewhere", "321", ["50%", "51%", "52%", "53%"]),
    ]:
        assert "held-out" not in unmeasured[view]
        measured = said(last(clf2, view=view, cut="all")).partition("Over ")[2]
        assert measured.startswith(f"{n} held-out sentences")
        assert re.findall(r"\d+%", measured) == shares
    assert "held-out" not in said(last(clf2, cut="1"))


# --- whatever is asked ---


@EVERY_VIEW
@pytest.mark.parametrize(
    "text",
    ["good", "😀", "<b>x</b>", "{x} ${y}", "**a** *", " \n a", "film " * 20, "a\x00\u202eb", "!?", "a" + " \n" * 20],
    ids=["one token", "an emoji", "HTML", "a template", "stars", "blanks", "too long", "controls", "signs", "no word"],
)
def test_every_text_is_explained_in_every_view(clf2, view, text):
    for explained in explain(clf2, trace(clf2, text), view=view):
        assert isinstance(explained.figure, go.Figure)
        assert explained.figure.layout.meta["alt"]
        assert explained.strip["caption"]
        assert said(explained)
        assert not re.search(r"\b(nan|inf)\b", said(explained))
        json.dumps([json.loads(explained.figure.to_json()), explained.strip, explained.takeaway], allow_nan=False)


@EVERY_VIEW
def test_more_than_two_classes_are_explained_in_every_view(clf, view):
    explained = last(clf, view=view, cut="1", cell="1-1", part="1-1")
    read = trace(clf, TEXT)
    target, other = clf.target(None, read.logits)
    margin = f"{read.logits[target] - read.logits[other]:+.2f}"
    assert margin in margins(explained)
    assert "{" not in said(explained)


@EVERY_VIEW
def test_a_soft_prompt_is_shown_and_never_swapped(prompted, view):
    read = trace(prompted, "good film, but not")
    explained = last(prompted, read.text, view=view)
    assert [item["text"] for item in explained.strip["items"]][:3] == ["⟦1⟧", "⟦2⟧", "⟦3⟧"]
    if view in ("swap", "patch"):
        assert suggested_swap(prompted, read).word.start >= 3
        assert "virtual token of the soft prompt" in said(last(prompted, read.text, view=view, at="1"))
    if view == "elsewhere":
        readings = [read_out_at(prompted, read, place).margin_after for place in ("first", "middle", "mean", "last")]
        assert margins(explained)[:4] == [f"{reading:+.2f}" for reading in readings]
        assert frames(explained.figure) == [(2.5, 3.5, 2.5, 3.5)]
        assert "every place sees it" in said(last(prompted, read.text, view=view, at="3", new="film"))


@EVERY_VIEW
def test_a_view_computes_nothing_for_the_others(clf2, view, monkeypatch):
    for module, name, own in [
        (removed, "cut_each_steps", "cut"),
        (removed, "cut_attention", "cut"),
        (removed, "ablate_each_head", "ablate"),
        (patched, "patch_grid_rows", "patch"),
    ]:
        if own != view:
            monkeypatch.setattr(module, name, None)
    assert last(clf2, view=view, cut="1").takeaway


def test_the_library_refuses_what_the_page_never_asks_for(clf2):
    """The page leaves out what would be refused: an empty cut, and the last token."""
    with pytest.raises(OptionError):
        cut_attention(clf2, trace(clf2, TEXT), [])
    assert last(clf2, cut="6").strip["cut"] == []
