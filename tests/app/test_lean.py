"""What an answer does not name is left as it is, and costs nothing."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from app.components.plotly_view import PlotlyView
from app.lean import LeanBlocks

N = 6


@pytest.fixture(scope="module")
def made() -> tuple[LeanBlocks, list[gr.components.Component], object]:
    async def build() -> tuple:
        with LeanBlocks(analytics_enabled=False) as demo:
            boxes = [gr.Textbox(f"box {i}") for i in range(N)]
            gr.Button().click(lambda: None, None, boxes)
        return demo, boxes, next(iter(demo.fns.values()))

    return asyncio.run(build())


def sent(made: tuple, predictions: object) -> tuple[list, SessionState]:
    demo, _, step = made
    state = SessionState(demo)
    return asyncio.run(demo.postprocess_data(step, predictions, state)), state


def test_what_is_named_is_sent_and_the_rest_skipped(made):
    _, boxes, _ = made
    values, _ = sent(made, {boxes[4]: "four", boxes[1]: gr.update(value="one", visible=False)})
    assert values[4] == "four"
    assert (values[1]["value"], values[1]["visible"]) == ("one", False)
    assert [values[i] for i in (0, 2, 3, 5)] == [gr.skip()] * 4


def test_one_that_is_named_alone_is_sent_alone(made):
    _, boxes, _ = made
    values, _ = sent(made, {boxes[2]: ["kept", "as", "it", "is"]})
    assert values[2] == str(["kept", "as", "it", "is"])  # a Textbox makes words of it
    assert values.count(gr.skip()) == N - 1


def test_no_component_that_is_left_out_is_made_anew(made):
    _, boxes, _ = made
    _, state = sent(made, {boxes[0]: "nought"})
    assert [state.blocks_config.blocks[box._id] is box for box in boxes] == [True] * N


def test_other_answers_are_gradios_own_affair(made):
    assert sent(made, [str(i) for i in range(N)])[0] == [str(i) for i in range(N)]
    assert sent(made, gr.skip())[0] == [gr.skip()] * N


def test_a_figure_made_anew_adds_no_path_to_those_that_are_served():
    from gradio.data_classes import _StaticFiles

    PlotlyView(render=False)
    before = len(_StaticFiles.all_paths)
    PlotlyView(render=False)
    assert len(_StaticFiles.all_paths) == before
