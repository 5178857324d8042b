"""The views of `regimes` that look for the label where no head was trained: over pre-training, and in layers and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import models
from ..figures.curves import Curve, curves_figure
from ..figures.dots import Dot
from ..figures.layers import maps_figure
from ..lesson import Run, fill
from .frame import Explained
from .study import NO_STRIP, not_measured

PANELS = {"base": "before", "full": "fine-tuned", "shuffled": "shuffled"}
PLACE_NAMES = {0.0: "first", 0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "last"}
IN_WORDS = {
    "first": "at the first token",
    "¼": "a quarter of the way in",
    "½": "in the middle",
    "¾": "three quarters of the way in",
    "last": "at the last token",
}
LEVEL = 0.02  # of accuracy: what comes as near to the best is said to be there already


def explain_next_word() -> Explained:
    """How well a probe of the frozen body finds the label, while the body learns to predict the next token."""
    measured = models.results().get("pretraining", {})
    points = measured.get("curve")
    if not points:
        return not_measured("the course of pre-training")
    bag = measured.get("probe_baseline_bag_of_words")
    curve = Curve(
        "linear probe on the frozen body",
        "frozen",
        [point["held_out_loss"] for point in points],
        [Dot(point["probe_accuracy"]) for point in points],
        [f"{_tokens(point)}, loss {point['held_out_loss']:.2f}" for point in points],
        notes=[_tokens(point) if i in _noted(len(points)) else "" for i, point in enumerate(points)],
    )
    first, last = points[0], points[-1]
    figure = curves_figure(
        [curve],
        x_name="held-out loss, falling as it trains →",
        y_name="accuracy of the probe",
        falling=True,
        levels=[("bag of words", bag["accuracy"])] if bag else [],
        alt=f"Accuracy of a linear probe against the loss of pre-training: {first['probe_accuracy']:.1%} at a loss of "
        f"{first['held_out_loss']:.2f}, {last['probe_accuracy']:.1%} at {last['held_out_loss']:.2f}.",
    )
    return Explained(figure, NO_STRIP, _next_word_said(measured, points, bag))


def explain_map() -> Explained:
    """Where in layers and along the text a probe finds the label, before and after fine-tuning."""
    measured = models.results().get("label_map", {})
    shown = [key for key in PANELS if measured.get(key)]
    if not {"base", "full"} <= set(shown):
        return not_measured("where the label lives")
    maps = {key: np.asarray(measured[key], float) for key in shown}
    names = [PLACE_NAMES.get(place, f"{place:.0%}") for place in measured["positions"]]
    figure = maps_figure(
        [(PANELS[key], maps[key]) for key in shown],
        names,
        read=[shown.index("full")],
        unit="probe accuracy",
        alt="Accuracy of a linear probe by layer and place in the text. "
        + "; ".join(f"{PANELS[key]}: {maps[key][-1, -1]:.0%} at the top of the last token" for key in shown),
    )
    return Explained(figure, NO_STRIP, _map_said(measured, maps, names))


def _tokens(point: Mapping[str, float]) -> str:
    return f"{point['tokens'] / 1e6:.1f}M tokens" if point["tokens"] else "random weights"


def _noted(n: int) -> tuple[int, ...]:
    """Which of n points say how many tokens were read: the ends and two in between."""
    return (0, n // 3, 2 * n // 3, n - 1) if n > 6 else (0, n - 1)


def _next_word_said(
    measured: Mapping[str, Any], points: Sequence[Mapping[str, float]], bag: Mapping[str, float] | None
) -> list[Run]:
    first, last = points[0], points[-1]
    names = ["takeaway next word"]
    values: dict[str, Any] = {
        "loss_before": first["held_out_loss"],
        "loss": last["held_out_loss"],
        "before": first["probe_accuracy"],
        "after": last["probe_accuracy"],
        "tokens": last["tokens"] / 1e6,
        "n": measured.get("probe", {}).get("held_out", 0),
    }
    if values["n"]:
        names.append("takeaway next word probe")
    if bag and last["probe_accuracy"] > bag["high"]:
        names.append("takeaway next word ahead")
    elif bag:
        names.append("takeaway next word behind" if last["probe_accuracy"] < bag["low"] else "takeaway next word level")
    if bag:
        values |= {"bag": bag["accuracy"], "low": bag["low"], "high": bag["high"]}
    return fill("regimes", *names, **values)


def _map_said(measured: Mapping[str, Any], maps: Mapping[str, np.ndarray], names: Sequence[str]) -> list[Run]:
    base, full = maps["base"], maps["full"]
    gain = full - base
    layer, place = np.unravel_index(int(gain.argmax()), gain.shape)
    where = IN_WORDS.get(names[place], f"{names[place]} of the way in")
    upper = gain[len(gain) // 2 :]
    at_end, before = float(upper[:, -1].mean()), float(upper[:, 1:-1].mean())
    said = [
        "takeaway map",
        "takeaway map moved",
        "takeaway map end" if at_end > before + LEVEL else "takeaway map everywhere",
    ]
    values: dict[str, Any] = {
        "n": measured.get("n_held_out", 0),
        "base": base[-1, -1],
        "full": full[-1, -1],
        "layer": f"layer {layer}" if layer else "the embedding",
        "where": where,
        "from_": base[layer, place],
        "to": full[layer, place],
        "at_end": 100 * at_end,
        "before": 100 * before,
        "base_layer": _there(base[:, -1]),
        "full_layer": _there(full[:, -1]),
    }
    said.append("takeaway map layers")
    if "shuffled" in maps:
        said.append("takeaway map shuffled")
        values |= {"low": maps["shuffled"].min(), "high": maps["shuffled"].max()}
    return fill("regimes", *said, **values)


def _there(column: np.ndarray) -> str:
    """The lowest layer that comes near to the best one, in words."""
    layer = int((column >= column.max() - LEVEL).argmax())
    return f"layer {layer}" if layer else "the embedding"
