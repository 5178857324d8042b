"""How long each method takes, side by side, on the machine that you sit at: ``python -m gpt2cls_core.bench``.

A time alone says as much about the machine as about the method. So everything is measured on one text, in turns (each
method once per round, so that whatever else the machine does falls on all of them alike), and shown as a median beside
its ratio to a yardstick that anybody can run: plain Captum `LayerIntegratedGradients` with its default 50 steps, on the
same model and text.

`methods` times every method; `side_by_side` sets integrated gradients beside Captum's, transformers-interpret's and the bound
of the machine's own arithmetic; `growth` tells what longer texts cost; `page` how long the page takes to start; `load` how it
answers many people at once.
"""

from __future__ import annotations

from .timing import FEWEST_REPEATS, TEXT, Timing, in_turns, machine, table

__all__ = ["FEWEST_REPEATS", "TEXT", "Timing", "in_turns", "machine", "table"]
