"""What the output says of each text, column by column.

| column | what it holds |
|---|---|
| line, text, error | where the row begins in the input, its text, and why it can't be read (null where it can) |
| tokens, tokens_cut | the tokens that were read, and how many were cut from the start because the text is too long |
| target | the class that is explained: class 1 of two, the predicted one of more |
| label, margin | the verdict, and the logit of `target` minus the best other |
| labels, probabilities | one entry per class |
| attribution | integrated gradients: one score per token, in logits of margin, positive for `target` |
| convergence_delta, margin_baseline, converged | how exact the scores are; see `Attribution` |
| rollout, rollout_null | last row of attention rollout: one share per token; and what the causal mask alone would give |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..attribution import Baseline, integrated_gradients
from ..classifier import Classifier
from ..errors import TextError
from ..predict import Prediction, predict_batch
from ..rollout import attention_rollout
from ..trace import trace
from .rows import KEPT

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["METHODS", "explain_rows", "schema"]

METHODS = ("verdict", "attribution", "rollout")


def schema(methods: Sequence[str], keep: Sequence[str]) -> pa.Schema:
    """The output's columns and their types."""
    import pyarrow as pa

    numbers, texts = pa.list_(pa.float32()), pa.list_(pa.string())
    columns = {"line": pa.int64(), **{KEPT + name: pa.string() for name in keep}, "text": pa.string()}
    columns |= {"error": pa.string(), "tokens": texts, "tokens_cut": pa.int32()}
    if "verdict" in methods or "attribution" in methods:
        columns["target"] = pa.string()
    if "verdict" in methods:
        columns |= {"label": pa.string(), "margin": pa.float32()}
        columns |= {"labels": texts, "probabilities": numbers}
    if "attribution" in methods:
        columns |= {"attribution": numbers, "convergence_delta": pa.float32(), "margin_baseline": pa.float32()}
        columns |= {"converged": pa.bool_()}
    if "rollout" in methods:
        columns |= {"rollout": numbers, "rollout_null": numbers}
    return pa.schema(columns)


def explain_rows(
    clf: Classifier, rows: Sequence[dict[str, Any]], *, methods: Sequence[str] = METHODS, baseline: Baseline = "eos"
) -> list[dict[str, Any]]:
    """The rows of `read_rows` with their columns of the output added; a row with an error gets none but that.

    Raises:
        OptionError: unknown baseline, or one that the classifier does not have.
    """
    explained = []
    for given in rows:
        row = dict(given)
        explained.append(row)
        if row["error"] is not None:
            continue
        try:
            encoding = clf.encode(row["text"])
        except TextError as error:
            row["error"] = str(error)
            continue
        row |= {"tokens": encoding.tokens, "tokens_cut": encoding.tokens_cut}
        if "attribution" in methods:
            result = integrated_gradients(clf, encoding, baseline=baseline)
            row |= {"target": clf.labels[result.target], "attribution": result.scores.tolist()}
            row |= {"convergence_delta": result.convergence_delta, "margin_baseline": result.margin_baseline}
            row["converged"] = result.converged
        if "rollout" in methods:
            rollout = attention_rollout(trace(clf, encoding))
            row |= {"rollout": rollout.weights[-1].tolist(), "rollout_null": rollout.null[-1].tolist()}
    if "verdict" in methods:
        readable = [row for row in explained if row["error"] is None]
        for row, verdict in zip(readable, predict_batch(clf, [row["text"] for row in readable]), strict=True):
            row |= _verdict(verdict)
    return explained


def _verdict(verdict: Prediction) -> dict[str, Any]:
    return {
        "label": verdict.label,
        "margin": verdict.margin,
        "target": verdict.labels[verdict.target],
        "labels": verdict.labels,
        "probabilities": verdict.probabilities.tolist(),
    }
