"""The views of `interventions` that take something away: cut attention to tokens, silence a head or an MLP."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
    cut_each_steps,
    punctuation_positions,
    sentiment_directions,
)

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import mark_cell, matrix_figure, strike_out
from ..lesson import Run, fill, quoted, word
from ..pace import paced
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
        moves, alt = _moves(clf, trace, effect), word("interventions", "alt cut", change=effect.change)
        figure = moves_figure(moves, trace.tokens, alt)
        strike_out(figure, positions)
        said = _cut_said(clf, trace, effect, positions, route, layers)
    else:
        figure = lens_figure(clf, trace, word("interventions", "alt uncut"))
        said = _uncut_said(clf, trace)
    if _is_slow(clf, trace) and not models.kept("cut", clf, trace.text, route, layers):
        yield Explained(figure, _cut_strip(trace, None, positions), said)
    for alone, goes_on in cut_alone(clf, trace, route, layers):
        more = [] if goes_on else _alone(clf, trace, alone, effect, positions)
        yield Explained(figure, _cut_strip(trace, alone, positions), [*said, *more])


def cut_alone(
    clf: Classifier, trace: Trace, route: str = "every", layers: tuple[int, ...] | None = None
) -> Iterator[tuple[torch.Tensor, bool]]:
    """What cutting each token alone moves the margin by [pos], NaN where there was no time for it, and whether more is to come.

    Late tokens come first; what was computed is kept.
    """
    layers = tuple(range(clf.n_layer)) if layers is None else layers
    kept = models.kept("cut", clf, trace.text, route, layers)
    if not kept:
        steps = cut_each_steps(clf, trace, route=route, layers=layers)
        for margins, goes_on in paced(steps, lambda margins: not margins.isnan().any()):
            if goes_on:
                yield margins - _margin(clf, trace), True
        kept.append(margins - _margin(clf, trace))
    yield kept[0], False


def explain_ablate(clf: Classifier, trace: Trace, part: str) -> Iterator[Explained]:
    """What silencing each head and each MLP moves; on the strip, what silencing one of them moves at each token.

    Args:
        part: "layer-head" from 1, or "layer-0" for the MLP; whatever is not there stands for the one that moves most.
    """
    kept = models.kept("ablate", clf, trace.text)
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
    limit, unit = max([PALE, *(abs(move) for move in moves if move is not None)]), word("interventions", "unit")
    return strip_value(trace.tokens, moves, caption=caption, scale="signed", unit=f" {unit}", limit=limit, **options)


def _cut_strip(trace: Trace, moves: torch.Tensor | None, positions: tuple[int, ...]) -> dict[str, Any]:
    known = [None] * len(trace.tokens) if moves is None else moves.tolist()
    alone = [None if move is None or math.isnan(move) else move for move in known[:-1]] + [None]
    caption = word("interventions", "caption cut" if len(trace.tokens) > 1 else "caption one token")
    return _strip(trace, alone, caption, cut=positions, keys=range(len(alone)))


def _uncut_said(clf: Classifier, trace: Trace) -> list[Run]:
    if len(trace.tokens) == 1:
        return fill("interventions", "takeaway one token", token=quoted(trace.tokens[0]))
    return fill("interventions", "takeaway uncut", label=trace.label, margin=_margin(clf, trace))


def _cut_said(
    clf: Classifier,
    trace: Trace,
    effect: InterventionEffect,
    positions: Sequence[int],
    route: str,
    layers: Sequence[int],
) -> list[Run]:
    everything = len(positions) == len(trace.tokens) - 1
    names = ["takeaway cut flips" if effect.flipped else "takeaway cut stays"]
    if abs(effect.change) < LITTLE * abs(effect.margin_clean) and not effect.flipped:
        names.append("takeaway cut little")
    accuracy = {}
    if everything and len(layers) == clf.n_layer:
        accuracy = measured(clf).get("accuracy", {})
        names += ["takeaway alone", *(["takeaway alone measured"] if accuracy else [])]
    named = word("interventions", "cut all" if everything else "cut many", count=len(positions))
    if len(positions) <= QUOTED:
        named = f" {word('interventions', 'and')} ".join(quoted(trace.tokens[i]) for i in positions)
    return fill(
        "interventions",
        *names,
        "takeaway renormalised",
        **_verdicts(effect),
        cut=named,
        reader=_reader(clf, route, layers),
        last=quoted(trace.tokens[-1]),
        n=len(trace.tokens),
        texts=measured(clf).get("n"),
        **{name: accuracy[name]["accuracy"] for name in ("clean", "last_token_alone") if name in accuracy},
    )


def _reader(clf: Classifier, route: str, layers: Sequence[int]) -> str:
    """Who can't read what is cut, and where."""
    if len(layers) == clf.n_layer:
        return word("interventions", f"reader {route}")
    within = {"reader": word("interventions", f"reader {route}"), "first": layers[0] + 1, "last": layers[-1] + 1}
    return word("interventions", "within one" if len(layers) == 1 else "within", **within)


def _alone(
    clf: Classifier, trace: Trace, moves: torch.Tensor, effect: InterventionEffect | None, positions: Sequence[int]
) -> list[Run]:
    """What is known of cutting tokens one at a time, beside the verdict."""
    if len(trace.tokens) == 1 or len(positions) == 1:
        return []
    unknown = int(moves.isnan().sum())
    left_out = [(" ", False), *fill("interventions", "takeaway cut unfinished", n=unknown)] if unknown else []
    if effect:
        total = float(moves[list(positions)].nansum())
        return [(" ", False), *fill("interventions", "takeaway sum", total=total, move=effect.change), *left_out]
    top = int(moves[:-1].nan_to_num().abs().argmax())
    little = abs(float(moves[top])) < LITTLE * abs(_margin(clf, trace))
    name = "takeaway most little" if little else "takeaway most"
    said = fill("interventions", name, top=quoted(trace.tokens[top]), move=float(moves[top]))
    return [(" ", False), *said, *left_out]


def _ablated(clf: Classifier, trace: Trace, table: torch.Tensor, part: str) -> Explained:
    """One part silenced, beside the table of what each moves [layer head+1], MLPs last, NaN where not computed yet."""
    known = table.nan_to_num().abs()
    most = divmod(int(known.argmax()), clf.n_head + 1)
    layer, column = _part(part, clf) or most
    if column == clf.n_head:
        effect, name = ablate_mlp(clf, trace, layer), word("interventions", "mlp", layer=layer + 1)
    else:
        effect, name = (
            ablate_head(clf, trace, layer, column),
            word("interventions", "head", head=column + 1, layer=layer + 1),
        )
    figure = matrix_figure(
        table.numpy(),
        [*(f"head {i + 1}" for i in range(clf.n_head)), "MLP"],
        [f"layer {i + 1}" for i in range(clf.n_layer)],
        unit=word("interventions", "change"),
        alt=word("interventions", "alt ablate", part=name, change=effect.change),
        digits=2,
    )
    mark_cell(figure, x=column, y=layer)
    moves, caption = _moves(clf, trace, effect)[-1].tolist(), word("interventions", "caption ablate", part=name)
    strip = _strip(trace, moves, caption)
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
        source=word("interventions", "source probes" if probes else "source head"),
        vectors=word("interventions", "mark" if len(marks) == 1 else "marks", count=len(marks)),
        at_marks=at_marks,
        everywhere=everywhere,
        **{f"accuracy_{key}": value for key, value in accuracy.items()},
    )
    return [(" ", False), *said]
