"""Gradio's Blocks, sparing what an answer leaves as it is.

An answer here names the few components that it changes, of the sixty that it might. Gradio 6.31 takes all others for changed, too,
and makes each of them anew, at every step of every answer: two fifths of the server's work under load, in the thread that every
reader waits for.
"""

from __future__ import annotations

import copy
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState

__all__ = ["LeanBlocks"]


class LeanBlocks(gr.Blocks):
    """Blocks whose functions may return a dictionary of the changed components, or `gr.skip`, at no cost for the others."""

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list | dict, state: SessionState | None
    ) -> list[Any]:
        outputs = block_fn.outputs
        if isinstance(predictions, dict) and predictions == gr.skip():
            return [gr.skip() for _ in outputs]
        if not isinstance(predictions, dict) or not predictions or not all(key in outputs for key in predictions):
            return await super().postprocess_data(block_fn, predictions, state)
        changed = copy.copy(block_fn)
        changed.outputs = list(predictions)
        values = list(predictions.values())
        made = await super().postprocess_data(changed, values if len(values) > 1 else values[0], state)
        shown = dict(zip(predictions, made, strict=True))
        return [shown.get(output, gr.skip()) for output in outputs]
