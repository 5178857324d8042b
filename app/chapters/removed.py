"""The views of `interventions` that take something away: cut attention to tokens, silence a head or an MLP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from gpt2cls_core import (
    Classifier,
    InterventionEffect,
    Trace,
    ablate_direction,
    ablate_each_head,
    ablate_head,
    ablate_mlp,
    cut_attention,
    cut_each,
    punctuation_positions,
    sentiment_directions,
)

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import mark_cell, matrix_figure, strike_out
from ..lesson import Run, fill, quoted
from .frame import Explained
from .swapped import PALE, lens_figure, margins_in_cells, measured, moves_figure, position_of

LITTLE = 0.1  # of the margin: what moves it by less is said to matter little
SLOW = 1e9  # parameters times tokens from which on a part of the picture is shown before the rest
QUOTED = 3  # tokens called by name


def explain_cut(
    clf: Classifier, trace: Trace, positions: tuple[int, ...], route: str, layers: tuple[int, ...]
) -> Iterator[Explained]:
    """What a cut moves in every cell; on the strip, what cutting each token alone would move.

    Args:
        positions: tokens before the last; none of them to cut nothing.
        layers: blocks, from 0.
    """
    effect = cut_attention(clf, trace, positions, route=route, layers=layers) if positions else None
    if effect:
        alt = f"How far the cut moves the margin in every cell; at the top right by {effect.change:+.2f}."
        figure = moves_figure(_moves(clf, trace, effect), trace.tokens, alt)
        strike_out(figure, positions)
        said = _cut_said(clf, trace, effect, positions, route, layers)
    else:
        figure = lens_figure(clf, trace, "Margins in every cell; nothing is cut.")
        said = _uncut_said(clf, trace)
    kept = models.kept("cut", clf, trace, route, layers)
    if not kept and _is_slow(clf, trace):
        yield Explained(figure, _cut_strip(trace, None, positions), said)
    if not kept:
        kept.append(cut_each(clf, trace, route=route, layers=layers) - _margin(clf, trace))
    yield Explained(
        figure, _cut_strip(trace, kept[0], positions), [*said, *_alone(clf, trace, kept[0], effect, positions)]
    )


def explain_ablate(clf: Classifier, trace: Trace, part: str) -> Iterator[Explained]:
    """What silencing each head and each MLP moves; on the strip, what silencing one of them moves at each token.

    Args:
        part: "layer-head" from 1, or "layer-0" for the MLP; whatever is not there stands for the one that moves most.
    """
    kept = models.kept("ablate", clf, trace)
    if not kept:
        margin = _margin(clf, trace)
        mlps = torch.tensor([[ablate_mlp(clf, trace, i).margin_after] for i in range(clf.n_layer)])
        unknown = torch.full((clf.n_layer, clf.n_head), torch.nan)
        if _is_slow(clf, trace):
            yield _ablated(clf, trace, torch.cat([unknown, mlps], 1) - margin, part)
        kept += [torch.cat([ablate_each_head(clf, trace), mlps], 1) - margin, _direction_said(clf, trace)]
    explained = _ablated(clf, trace, kept[0], part)
    yield Explained(explained.figure, explained.strip, [*explained.takeaway, *kept[1]])


def _is_slow(clf: Classifier, trace: Trace) -> bool:
    """Whether a reader should be shown a part before the rest is computed."""
    return clf.n_parameters * len(trace.tokens) > SLOW


def _margin(clf: Classifier, trace: Trace) -> float:
    target, other = clf.target(None, trace.logits)
    return float(trace.logits[target] - trace.logits[other])


def _moves(clf: Classifier, trace: Trace, effect: InterventionEffect) -> torch.Tensor:
    """Margin after minus margin before in every cell [layer+1 pos]."""
    before, after = (margins_in_cells(clf, run.resid, effect.target, effect.other) for run in (trace, effect))
    return after - before


def _verdicts(effect: InterventionEffect) -> dict[str, Any]:
    return {
        "label": effect.label_clean,
        "label_after": effect.label_after,
        "margin": effect.margin_clean,
        "after": effect.margin_after,
    }


def _strip(trace: Trace, moves: list[float | None], caption: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    limit = max([PALE, *(abs(move) for move in moves if move is not None)])
    return strip_value(trace.tokens, moves, caption=caption, scale="signed", unit=" logits", limit=limit, **options)


def _cut_strip(trace: Trace, moves: torch.Tensor | None, positions: tuple[int, ...]) -> dict[str, Any]:
    alone = [None] * len(trace.tokens) if moves is None else [*moves[:-1].tolist(), None]
    caption = "How far the margin moves if a token alone is cut (press one to cut it, or to restore it):"
    if len(trace.tokens) == 1:
        caption = "There is nothing to cut:"
    return _strip(trace, alone, caption, cut=positions, keys=range(len(alone)))


def _uncut_said(clf: Classifier, trace: Trace) -> list[Run]:
    if len(trace.tokens) == 1:
        return fill("interventions", "takeaway one token", token=quoted(trace.tokens[0]))
    return fill("interventions", "takeaway uncut", label=trace.label, margin=_margin(clf, trace))


def _cut_said(
    clf: Classifier,
    trace: Trace,
    effect: InterventionEffect,
    positions: tuple[int, ...],
    route: str,
    layers: tuple[int, ...],
) -> list[Run]:
    everything = len(positions) == len(trace.tokens) - 1
    names = ["takeaway cut flips" if effect.flipped else "takeaway cut stays"]
    if abs(effect.change) < LITTLE * abs(effect.margin_clean) and not effect.flipped:
        names.append("takeaway cut little")
    accuracy = {}
    if everything and len(layers) == clf.n_layer:
        accuracy = measured(clf).get("accuracy", {})
        names += ["takeaway alone", *(["takeaway alone measured"] if accuracy else [])]
    named = "all tokens but the last" if everything else f"{len(positions)} tokens"
    if len(positions) <= QUOTED:
        named = " and ".join(quoted(trace.tokens[i]) for i in positions)
    within = "" if len(layers) == clf.n_layer else f" in layers {layers[0] + 1} to {layers[-1] + 1}"
    if len(layers) == 1 < clf.n_layer:
        within = f" in layer {layers[0] + 1}"
    return fill(
        "interventions",
        *names,
        "takeaway renormalised",
        **_verdicts(effect),
        cut=named,
        reader=("every later token" if route == "every" else "the last token") + within,
        last=quoted(trace.tokens[-1]),
        n=len(trace.tokens),
        texts=measured(clf).get("n"),
        **{name: accuracy[name]["accuracy"] for name in ("clean", "last_token_alone") if name in accuracy},
    )


def _alone(
    clf: Classifier,
    trace: Trace,
    moves: torch.Tensor,
    effect: InterventionEffect | None,
    positions: tuple[int, ...],
) -> list[Run]:
    """What is known of cutting tokens one at a time, beside the verdict."""
    if len(trace.tokens) == 1 or len(positions) == 1:
        return []
    if effect:
        total = float(moves[list(positions)].sum())
        return [(" ", False), *fill("interventions", "takeaway sum", total=total, move=effect.change)]
    top = int(moves[:-1].abs().argmax())
    little = abs(float(moves[top])) < LITTLE * abs(_margin(clf, trace))
    name = "takeaway most little" if little else "takeaway most"
    return [(" ", False), *fill("interventions", name, top=quoted(trace.tokens[top]), move=float(moves[top]))]


def _ablated(clf: Classifier, trace: Trace, table: torch.Tensor, part: str) -> Explained:
    """One part silenced, beside the table of what each moves [layer head+1], MLPs last, NaN where not computed yet."""
    known = table.nan_to_num().abs()
    most = divmod(int(known.argmax()), clf.n_head + 1)
    layer, column = _part(part, clf) or most
    if column == clf.n_head:
        effect, name = ablate_mlp(clf, trace, layer), f"the MLP of layer {layer + 1}"
    else:
        effect, name = ablate_head(clf, trace, layer, column), f"head {column + 1} of layer {layer + 1}"
    figure = matrix_figure(
        table.numpy(),
        [*(f"head {i + 1}" for i in range(clf.n_head)), "MLP"],
        [f"layer {i + 1}" for i in range(clf.n_layer)],
        unit="change of the margin",
        alt=f"How far silencing each head and each MLP moves the margin; without {name} by {effect.change:+.2f}.",
        digits=2,
    )
    mark_cell(figure, x=column, y=layer)
    caption = f"How far the running verdict moves at each token without {name}:"
    strip = _strip(trace, _moves(clf, trace, effect)[-1].tolist(), caption)
    names = ["takeaway ablate flips" if effect.flipped else "takeaway ablate stays"]
    heads, margin = known[:, : clf.n_head], _margin(clf, trace)
    count = int((heads > LITTLE * abs(margin)).sum())
    if table.isnan().any():
        names.append("takeaway ablate progress")
    else:
        names += ["takeaway ablate most"] * ((layer, column) == most)
        names.append("takeaway ablate heads" if count else "takeaway ablate no head")
    turned = int(((table[:, : clf.n_head] + margin > 0) != (margin > 0)).sum())
    values = {"part": name, "heads": heads.numel(), "count": count, "turned": turned}
    return Explained(figure, strip, fill("interventions", *names, **_verdicts(effect), **values))


def _part(raw: str, clf: Classifier) -> tuple[int, int] | None:
    """Layer and column of the table, if there is such a part."""
    layer, _, head = str(raw or "").partition("-")
    layer, head = position_of(layer, clf.n_layer + 1), position_of(head, clf.n_head + 1)
    return None if not layer or head is None else (layer - 1, head - 1 if head else clf.n_head)


def _direction_said(clf: Classifier, trace: Trace) -> list[Run]:
    """The direction of the verdict taken out where the head does not read: everywhere, and at punctuation alone."""
    if len(trace.tokens) == 1:
        return []
    probes = models.lens_probes(clf)
    target, other = clf.target(None, trace.logits)
    directions = sentiment_directions(clf, probes, target=target, other=other)
    marks = punctuation_positions(trace)
    everywhere = ablate_direction(clf, trace, directions, range(len(trace.tokens) - 1)).margin_after
    at_marks = ablate_direction(clf, trace, directions, marks).margin_after if marks else None
    name = "probes" if probes else "head"
    counted = measured(clf).get("direction", {})
    accuracy = {key: entry["accuracy"] for key, entry in counted.get(name, {}).items()}
    names = ["takeaway direction" if marks else "takeaway direction no marks"]
    if accuracy:
        names.append("takeaway direction measured")
        accuracy |= {"clean": counted["clean"]["accuracy"], "n": counted["n"]}
    said = fill(
        "interventions",
        *names,
        source="as the trained lens finds it" if probes else "as the head reads it",
        vectors="vector at the one punctuation mark"
        if len(marks) == 1
        else f"vectors at the {len(marks)} punctuation marks",
        at_marks=at_marks,
        everywhere=everywhere,
        **{f"accuracy_{key}": value for key, value in accuracy.items()},
    )
    return [(" ", False), *said]
