"""What programs may ask the page for: ``/predict`` and ``/explain``, by gradio_client, curl or anything that speaks HTTP.

The page's own steps are private. Limits and messages are the library's, so what the page refuses is refused here too.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2cls_core import Gpt2clsError, OptionError
from gpt2cls_core.batch.columns import METHODS, explain_rows

from . import models
from .settings import Settings


def add_endpoints(offered: list[str], settings: Settings, **compute: object) -> None:
    """Add both to the `gr.Blocks` that is being built.

    Args:
        offered: models that may be asked for, the default first.
        settings: limits.
        compute: how the model is shared with the page, as for any of Gradio's events.
    """

    def ask(text: str, model: str, methods: list[str], baseline: str) -> dict[str, Any]:
        try:
            if (model := model or offered[0]) not in offered:
                raise OptionError(f"There is no model {model!r} here; there are {', '.join(offered)}.")
            if not methods or not all(method in METHODS for method in methods):
                raise OptionError(f"methods must be some of {', '.join(METHODS)}, not {methods}.")
            (row,) = explain_rows(
                models.classifier(model),
                [{"text": settings.within(text), "error": None}],
                methods=methods,
                baseline=baseline,
            )
        except Gpt2clsError as error:
            raise gr.Error(str(error), print_exception=False) from error  # theirs to mend, no matter for the log
        if row["error"]:
            raise gr.Error(row["error"], print_exception=False)
        return {"model": model} | {name: value for name, value in row.items() if name != "error"}

    def predict(text: str, model: str = "") -> dict:
        """The verdict on a text: tokens, label, labels, probabilities, margin (logit of `target` minus the best other).

        Args:
            text: at most 100,000 characters; the model reads the last tokens that it has room for, and tokens_cut says how many
                were left out.
            model: one of those on the page; the default if empty.
        """
        return ask(text, model, ["verdict"], "eos")

    def explain(text: str, model: str = "", methods: list[str] = ["attribution"], baseline: str = "eos") -> dict:  # noqa: B006
        """Which tokens the verdict rests on, one number per token.

        Args:
            text: as for predict.
            model: as for predict.
            methods: some of "verdict", "attribution" (integrated gradients, in logits of margin, with convergence_delta) and
                "rollout" (attention rollout to the last token, with rollout_null, what the causal mask alone would give).
            baseline: of integrated gradients: "eos", "zero" or "mean".
        """
        return ask(text, model, methods, baseline)

    for endpoint in (predict, explain):
        gr.api(endpoint, api_name=endpoint.__name__, **compute)
