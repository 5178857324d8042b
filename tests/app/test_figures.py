"""Figures show the numbers as they are, in the palette's colours, and nothing in them can be markup."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import plotly.graph_objects as go
import pytest

from app.figures.bars import token_bars_figure, waterfall_figure
from app.figures.clouds import cloud_figure, comparison_figure
from app.figures.curves import Curve, curves_figure
from app.figures.dots import Dot, Row, dots_figure
from app.figures.grid import grid_figure, mark_cell, matrix_figure, strike_out
from app.figures.layers import maps_figure, side_by_side_figure
from app.figures.spelling import spelling_figure
from app.figures.style import CLEAR, note_figure, plain
from app.figures.traps import Shift, misread_figure, shifts_figure
from app.figures.trials import Standing, Steps, agreement_figure, ranking_figure, steps_figure
from app.palette import LIGHT

TOKENS = ["<i>it</i>", " &amp;", "a\nb\t\x00"]
VALUES = np.array([[0.5, -2.0, 0.25], [0.125, 1.0, -8.0]], np.float32)
MARKUP = "<a href='x'>&lt;"


def grid(**options) -> go.Figure:
    return grid_figure(VALUES, TOKENS, **{"scale": "signed", "unit": "logits", "alt": "a grid", **options})


def cloud(**options) -> go.Figure:
    layers = np.arange(12.0).reshape(2, 3, 2)  # (layer+1, sentence, 2)
    return cloud_figure(
        layers, [True, False, True], TOKENS, layers[:, 0], ["below", "above"], sides=("<i>it</i>", "yes"), **options
    )


def spelling(**options) -> go.Figure:
    words = [[(token, 0.5), ("film", 0.25)] for token in TOKENS]
    return spelling_figure([("before", words), ("after", words)], **options)


def ranking(**options) -> go.Figure:
    standings = [Standing(TOKENS[0], (0.5, -0.004), (True, False)), Standing(TOKENS[1], (-0.25, 0.3)), Standing("c")]
    bands = ((0.1, 0.0, 0.2), (0.3, 0.1, 0.4))
    return ranking_figure(standings, bands, **{"titles": ("more", "less"), "chosen": 1, "alt": "", **options})


def steps(**options) -> go.Figure:
    methods = [Steps(token, [0, 0.5, 1], [0.9, 0.4, 0.1], [0.1, 0.8, 0.9]) for token in TOKENS]
    options = {"chosen": 0, "unit": "P", "notes": [(MARKUP, "area"), ("put back", MARKUP)], "alt": "", **options}
    return steps_figure(methods, methods[1], **{"band": (methods[1], methods[0]), **options})


def dots(**options) -> go.Figure:
    cells = [(Dot(0.5, 0.4, 0.6), "frozen"), (Dot(0.7), "trained")]
    rows = [Row(token, cells, strong=True) for token in TOKENS]
    return dots_figure(rows, TOKENS[:2], levels=[0.5, None], level_name=TOKENS[0], **options)


def curves(**options) -> go.Figure:
    drawn = [
        Curve(name, "none", [1, 10], [Dot(0.5, 0.4, 0.6), Dot(0.7)], TOKENS[:2], notes=TOKENS[:2]) for name in TOKENS
    ]
    return curves_figure(drawn, x_name=TOKENS[0], y_name=TOKENS[0], levels=[(TOKENS[0], 0.5)], **options)


WITH_UNIT = {
    "signed grid": grid,
    "attention grid": lambda **o: grid(scale="attention", **o),
    "more-or-less grid": lambda **o: grid(scale="more-or-less", **o),
    "misread grid": lambda **o: misread_figure(
        VALUES, TOKENS, read=2, should_read=0, **{"unit": "logits", "alt": "", **o}
    ),
    "grid of words": lambda **o: grid(texts=[TOKENS, TOKENS], **o),
    "token bars": lambda **o: token_bars_figure(TOKENS, [1.0, -2.0, 0.0], **{"unit": "logits", "alt": "", **o}),
    "waterfall": lambda **o: waterfall_figure(
        TOKENS, [1.0, -2.0, 0.0], **{"total": "<i>sum</i>", "unit": "logits", "alt": "", **o}
    ),
    "steps": steps,
}
WITH_TOKENS = {
    **WITH_UNIT,
    "cloud": lambda **o: cloud(**{"alt": "", **o}),
    "spelling": lambda **o: spelling(**{"alt": "", **o}),
    "dots": lambda **o: dots(**{"alt": "", **o}),
    "curves": lambda **o: curves(**{"alt": "", **o}),
    "maps": lambda **o: maps_figure(
        [(token, np.ones((2, 3))) for token in TOKENS], ["first", "½", "last"], read=[1], **{"unit": "", "alt": "", **o}
    ),
    "shifts": lambda **o: shifts_figure(
        [Shift(token, 1.0, -2.0, turns=True) for token in TOKENS] + [Shift("d", instead="…")],
        sides=(MARKUP, MARKUP),
        **{"alt": "", **o},
    ),
}
FIGURES = {
    **WITH_TOKENS,
    "note": lambda alt="Not measured": note_figure(alt),
    "side by side": lambda **o: side_by_side_figure(
        [[1.0, 2.0]], ["a"], [("yes", "positive")], chosen=0, **{"unit": "logits", "alt": "", **o}
    ),
    "ranking": ranking,
    "agreement": lambda **o: agreement_figure(np.eye(3), TOKENS, **{"chosen": 0, "alt": "", **o}),
    "matrix": lambda **o: matrix_figure(VALUES, ["a", "b", "c"], ["x", "y"], **{"unit": "logits", "alt": "", **o}),
    "comparison": lambda **o: comparison_figure(np.ones(3), np.arange(3.0), -np.arange(3.0), **{"alt": "", **o}),
}


def every(figures: dict):
    return pytest.mark.parametrize("figure", figures.values(), ids=figures.keys())


def strings(node: object) -> list[str]:
    """All strings in a figure's JSON but those of Plotly's own template."""
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        return [s for key, value in node.items() if key != "template" for s in strings(value)]
    return [s for value in node for s in strings(value)] if isinstance(node, list) else []


# --- every figure ---


@every(FIGURES)
def test_every_colour_is_in_the_palette_so_that_a_dark_page_can_swap_it(figure):
    colours = {s for s in strings(json.loads(figure().to_json())) if re.match(r"#[0-9a-fA-F]{3,8}$|rgba?\(|hsla?\(", s)}
    assert len(colours) > 3
    assert colours - {CLEAR} <= set(LIGHT.values())


@every(FIGURES)
def test_the_ground_is_clear_and_the_words_are_ink(figure):
    layout = figure().layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor, layout.font.color) == (CLEAR, CLEAR, LIGHT["ink"])


@every(FIGURES)
def test_a_figure_says_what_it_shows_to_those_who_cannot_see_it(figure):
    assert figure(alt="What it shows").layout.meta["alt"] == "What it shows"


@every(WITH_TOKENS)
def test_no_token_can_be_markup_anywhere(figure):
    everything = strings(json.loads(figure().to_json()))
    assert [string for string in everything if "&lt;i&gt;it&lt;/i&gt;" in string]
    for string in everything:
        ours = re.sub("</?b>|<br>|<extra></extra>", "", string) if "%{" in string else string  # our own hover lines
        assert "<" not in ours


@every(WITH_UNIT)
def test_a_unit_that_names_a_label_can_be_no_markup(figure):
    everything = strings(json.loads(figure(unit=MARKUP).to_json()))
    assert not [string for string in everything if MARKUP in string]
    assert [string for string in everything if plain(MARKUP, 60) in string]


@every(FIGURES)
def test_a_figure_can_be_neither_dragged_nor_zoomed_so_that_a_finger_scrolls_the_page(figure):
    drawn = figure()
    assert drawn.layout.dragmode is False
    axes = [*drawn.select_xaxes(), *drawn.select_yaxes()]
    assert axes
    assert all(axis.fixedrange for axis in axes)


# --- the grid ---


@pytest.mark.parametrize(
    ("read", "asked", "shown"),
    [(None, None, True), ((4, 4), None, True), ((0, 0), None, False), ((0, 0), True, True), (None, False, False)],
)
def test_a_wide_grid_opens_where_the_head_reads(read, asked, shown):
    figure = grid_figure(
        np.zeros((3, 7)), list("abcdefg"), scale="signed", unit="", alt="", read=read, from_the_right=asked
    )
    assert figure.layout.meta["from_the_right"] is shown


def test_grid_holds_the_values_unchanged():
    assert grid().data[0].z.tolist() == VALUES.tolist()


@pytest.mark.parametrize(
    ("scale", "limit", "ends"),
    [("signed", None, (-8, 8)), ("more-or-less", None, (-8, 8)), ("attention", None, (0, 8)), ("signed", 1.0, (-1, 1))],
)
def test_only_the_ends_of_the_colour_scale_follow_the_values(scale, limit, ends):
    heatmap = grid(scale=scale, limit=limit).data[0]
    assert (heatmap.zmin, heatmap.zmax) == ends
    assert heatmap.z.tolist() == VALUES.tolist()


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [("signed", "negative", "positive"), ("more-or-less", "less", "attention"), ("attention", "zero", "attention")],
)
def test_a_scale_runs_from_its_low_to_its_high_colour_with_zero_where_zero_is(scale, low, high):
    heatmap = grid(scale=scale).data[0]
    colours = dict(heatmap.colorscale)
    zero = (0 - heatmap.zmin) / (heatmap.zmax - heatmap.zmin)
    assert (colours[0.0], colours[zero], colours[1.0]) == (LIGHT[low], LIGHT["zero"], LIGHT[high])


def test_grid_of_zeros_or_of_nothing_has_a_scale_all_the_same():
    for value in (0.0, np.nan):
        heatmap = grid_figure(np.full((2, 3), value), TOKENS, scale="signed", unit="", alt="").data[0]
        assert (heatmap.zmin, heatmap.zmax) == (-1, 1)


def test_tokens_run_from_left_to_right_and_layers_from_the_embedding_up():
    layout = grid().layout
    assert list(layout.xaxis.ticktext) == [plain(token) for token in TOKENS]
    assert list(layout.yaxis.ticktext) == ["embed", "layer 1"]
    assert layout.xaxis.range[0] < layout.xaxis.range[1]
    assert layout.yaxis.range[0] < layout.yaxis.range[1]


def test_rows_can_be_named():
    assert list(grid(rows=["layer 1", "layer 2"]).layout.yaxis.ticktext) == ["layer 1", "layer 2"]


def test_the_top_right_cell_is_framed_as_the_one_that_the_head_reads():
    figure = grid()
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1.5, 2.5, 0.5, 1.5)  # the cell of token 2 in row 1
    assert frame.line.color == LIGHT["read"]
    (annotation,) = figure.layout.annotations
    assert annotation.text == "read by the head"


def test_other_cells_of_the_top_row_can_be_what_the_head_reads():
    (frame,) = grid(read=(0, 1)).layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (-0.5, 1.5, 0.5, 1.5)


def test_a_chosen_cell_is_outlined_in_ink_beside_the_one_that_is_read():
    figure = grid()
    mark_cell(figure, x=1, y=0)
    _, outline = figure.layout.shapes
    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (0.5, 1.5, -0.5, 0.5)
    assert outline.line.color == LIGHT["ink"]


def test_struck_out_names_stay_plain_inside():
    figure = grid()
    strike_out(figure, [0, 2])
    names = [plain(token) for token in TOKENS]
    assert list(figure.layout.xaxis.ticktext) == [f"<s>{names[0]}</s>", names[1], f"<s>{names[2]}</s>"]


def test_hover_names_token_and_layer_of_its_cell():
    heatmap = grid().data[0]
    assert list(heatmap.customdata[1][0]) == ["&lt;i&gt;it&lt;/i&gt;", "layer 1"]
    assert "%{customdata[0]}" in heatmap.hovertemplate
    assert "%{customdata[1]}" in heatmap.hovertemplate


@pytest.mark.parametrize(("per_cent", "shown"), [(False, "%{z:.2f}"), (True, "%{z:.1%}")])
def test_hover_gives_the_number_in_its_unit(per_cent, shown):
    assert shown in grid(per_cent=per_cent).data[0].hovertemplate


def test_more_tokens_take_more_width_so_that_each_label_can_be_read():
    def width(n: int) -> int:
        return grid_figure(np.zeros((2, n)), ["t"] * n, scale="signed", unit="", alt="").layout.meta["min_width"]

    assert width(200) - width(100) >= 100 * 15


# --- bars ---


def test_token_bars_hold_the_scores_unchanged_with_the_colour_of_their_sign():
    (bars,) = token_bars_figure(["a", "b", "c"], [1.5, -2.25, 0.0], unit="", alt="").data
    assert list(bars.y) == [1.5, -2.25, 0.0]
    assert list(bars.marker.color) == [LIGHT["positive"], LIGHT["negative"], LIGHT["positive"]]


def test_a_waterfall_lays_its_summands_end_to_end_and_ends_with_their_sum():
    (bars,) = waterfall_figure(["a", "b", "c"], [1.5, -2.25, 0.5], total="sum", unit="", alt="").data
    assert list(bars.y) == [1.5, -2.25, 0.5, -0.25]
    assert list(bars.base) == [0.0, 1.5, -0.75, 0.0]
    assert bars.customdata[-1] == "sum"
    assert list(bars.marker.color)[-2:] == [LIGHT["positive"], LIGHT["negative"]]


def test_only_the_sum_of_a_waterfall_is_framed_as_what_the_head_says():
    (bars,) = waterfall_figure(["a", "b"], [1.0, 2.0], total="sum", unit="", alt="").data
    assert [width > 0 for width in bars.marker.line.width] == [False, False, True]
    assert bars.marker.line.color == LIGHT["read"]


# --- clouds, words, tables ---


def test_a_cloud_shows_the_top_layer_first_and_has_a_frame_for_each():
    figure = cloud(alt="")
    assert list(figure.data[0].x) == [6, 8, 10]
    assert [list(frame.data[0].x) for frame in figure.frames] == [[0, 2, 4], [6, 8, 10]]
    assert list(figure.data[0].marker.color) == [LIGHT["positive"], LIGHT["negative"], LIGHT["positive"]]


def test_all_frames_of_a_cloud_share_one_scale_so_that_movement_is_real():
    figure = cloud(alt="")
    assert figure.layout.xaxis.range[0] <= 0
    assert figure.layout.xaxis.range[1] >= 10
    assert not any(frame.layout.xaxis.range for frame in figure.frames)


def test_a_comparison_holds_the_values_unchanged():
    figure = comparison_figure(np.array([1.0, 0.5]), np.array([0.0, 2.5]), np.array([0.0, -1.5]), alt="")
    assert [list(trace.y) for trace in figure.data] == [[1.0, 0.5], [0.0, 2.5], [0.0, -1.5]]


def test_a_spelling_writes_each_word_with_its_number():
    assert spelling(alt="").data[0].text[1][0] == "&amp;amp;  0.50"


def test_a_table_holds_the_values_unchanged_around_zero():
    heatmap = FIGURES["matrix"]().data[0]
    assert heatmap.z.tolist() == VALUES.tolist()
    assert (heatmap.zmin, heatmap.zmax) == (-8, 8)


def test_a_table_may_have_gaps_and_more_digits():
    heatmap = matrix_figure(np.array([[0.5, np.nan]]), ["a", "b"], ["x"], unit="", alt="", digits=2).data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-0.5, 0.5)
    assert heatmap.texttemplate == "%{z:.2f}"


# --- labels ---


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("<b>", "&lt;b&gt;"),
        ("&lt;", "&amp;lt;"),
        (" film", "film"),
        ("  ", "␣"),
        ("", "␣"),
        ("\n", "⏎"),
        ("\t", "⇥"),
        ("\x00\x1b", "··"),
        ("\u200d\ufe0f", "ZWJVS"),
        ("😀", "😀"),
        ("שלום", "שלום"),
        ("{{x}} ${y}", "{{x}} ${y}"),
    ],
)
def test_a_label_shows_the_token_as_it_is(token, label):
    assert plain(token) == label


@pytest.mark.parametrize("token", ["x" * 300, "<" * 300, "&" * 300])
def test_a_long_label_is_cut_before_it_is_escaped(token):
    label = plain(token, 10)
    assert len(unescape(label)) == 10
    assert label.endswith("…")


# --- explanations on trial ---


def test_a_ranking_fills_what_is_beyond_random_and_leaves_a_waiting_row_empty():
    first, second = (data for data in ranking().data if data.mode == "markers")
    assert (list(first.x), list(second.x)) == ([0.5, -0.25], [-0.004, 0.3])
    assert list(first.marker.color) == [LIGHT["ink"], LIGHT["card"]]
    assert list(second.marker.color) == [LIGHT["card"], LIGHT["card"]]
    assert [note.text for note in ranking().layout.annotations].count("…") == 2


def test_a_ranking_has_no_minus_before_nothing():
    told = [note.text for note in ranking().layout.annotations]
    assert "0.00" in told and "-0.00" not in told


def test_a_ranking_marks_the_chosen_row_and_shows_every_point():
    figure = ranking()
    assert [note.text for note in figure.layout.annotations if note.font.weight == 700] == [
        plain(TOKENS[1]),
        "-0.25",
        "0.30",
    ]
    for axis, values in ((figure.layout.xaxis, (-0.25, 0.5)), (figure.layout.xaxis2, (-0.004, 0.4))):
        assert axis.range[0] < values[0] < values[1] < axis.range[1]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.64, ".6"), (-0.06, "-.1"), (-0.04, ".0"), (1.0, "1.0"), (-1.0, "-1.0")]
)
def test_an_agreement_is_written_short_and_the_diagonal_is_empty(value, shown):
    (table,) = agreement_figure(np.array([[1.0, value], [value, 1.0]]), ["a", "b"], chosen=0, alt="").data
    assert [list(row) for row in table.text] == [["", shown], [shown, ""]]
    assert (table.zmin, table.zmax) == (-1, 1)
