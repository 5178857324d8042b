"""Cause, not correlation: change one thing in the running model and see what becomes of the verdict.

Attention, rollout, gradients and lenses say what could have mattered. Here something is taken away, the model runs on
without it, and the change of the margin is what it was worth:

- **cut the wires** (attention knockout, Geva et al. 2023, arXiv:2304.14767): no later position may read the chosen
  tokens, or the last position alone may not. A score of −∞ before the softmax takes a key out, and what remains is
  renormalised to sum to 1: the reader looks elsewhere instead, it does not look less. With all earlier tokens cut, the
  last vector knows its own token and place, and nothing else.
- **read elsewhere**: let the head read the vector of another token. What comes after that token then changes nothing,
  to exactly 0.
- **ablate** a head, an MLP or a direction: see `ablation`. **Patch** states of another text: see `patching`.

The two routes of cutting answer different questions. "direct" takes away what the last position read from a token
itself; later tokens may have copied it before, and pass it on. "every" takes away both.

Caveat: effects do not add up. Where two tokens say the same, each can be cut without effect, since the other remains;
and after a cut, later parts may do what the cut one did before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from .cells import check_index
from .classifier import Classifier
from .edits import Route, allowed_attention, cut_edits, run_edited
from .effect import InterventionEffect, effect_of
from .errors import OptionError
from .resume import ROWS_AT_ONCE, in_batches, remember, resume
from .trace import Trace

__all__ = ["cut_attention", "cut_each", "cut_each_steps", "read_out_at", "read_out_changes"]

Place = Literal["last", "first", "middle", "mean"]
PLACES: tuple[Place, ...] = ("last", "first", "middle", "mean")


def cut_attention(
    clf: Classifier,
    trace: Trace,
    sources: Sequence[int],
    *,
    route: Route = "every",
    layers: Sequence[int] | None = None,
    target: int | str | None = None,
) -> InterventionEffect:
    """Forbid attention to the chosen tokens.

    Args:
        sources: positions to cut, without the last; all of them leave only the last word.
        route: "every": no later position may read them; "direct": the last position alone may not.
        layers: blocks in which they are cut, from 0; None takes all.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: no sources, no layers, no such token, layer, route or class, or the last token among the sources.
    """
    sources = _check_sources(trace, sources)
    layers = _check_layers(clf, layers)
    _check_route(route)
    allowed = allowed_attention(len(trace.tokens), sources, route)
    count = "1 token" if len(sources) == 1 else f"{len(sources)} tokens"
    reader = "every later position" if route == "every" else "the last position"
    name = f"{count} cut from {reader}" + _layers_named(clf, layers)
    return effect_of(clf, trace, name, cut_edits(clf, allowed, layers), target)


def cut_each(
    clf: Classifier,
    trace: Trace,
    *,
    route: Route = "every",
    layers: Sequence[int] | None = None,
    target: int | str | None = None,
) -> Tensor:
    """Margins after cutting each token alone [pos]; the same as `cut_attention` token by token, only faster.

    The last entry is the margin as it is: no later position reads the last token.

    Raises:
        OptionError: no layers, no such layer, route or class.
    """
    *_, margins = cut_each_steps(clf, trace, route=route, layers=layers, target=target)
    return margins


def cut_each_steps(
    clf: Classifier,
    trace: Trace,
    *,
    route: Route = "every",
    layers: Sequence[int] | None = None,
    target: int | str | None = None,
) -> Iterator[Tensor]:
    """The same as `cut_each`, yielding the margins after each few tokens, NaN where none is known yet; late tokens, which cost
    least, come first.

    Raises:
        OptionError: as `cut_each`, at the call and not at the first step.
    """
    _check_route(route)
    layers = _check_layers(clf, layers)
    return _cut_each(clf, trace, route, layers, clf.target(target, trace.logits))


def _cut_each(
    clf: Classifier, trace: Trace, route: Route, layers: Sequence[int], classes: tuple[int, int]
) -> Iterator[Tensor]:
    chosen, other = classes
    n_tokens, first = len(trace.tokens), layers[0]
    memory = remember(clf, trace.resid)
    margins = torch.full((n_tokens,), torch.nan)
    margins[-1] = trace.logits[chosen] - trace.logits[other]
    at_once = ROWS_AT_ONCE if route == "every" else n_tokens
    yield margins.clone()
    for sources in reversed(list(in_batches(range(n_tokens - 1), n_tokens, most=at_once))):
        start = sources[0] + 1 if route == "every" else n_tokens - 1  # the first position that a cut can change
        allowed = torch.stack([allowed_attention(n_tokens, [source], route)[start:] for source in sources])
        stream = trace.resid[first, start:].expand(len(sources), -1, -1)
        logits = resume(
            clf, memory, stream, layer=first, start=start, allowed=lambda i, a=allowed: a if i in layers else None
        )
        margins[sources] = logits[:, chosen] - logits[:, other]
        yield margins.clone()


def read_out_at(
    clf: Classifier, trace: Trace, where: Place | int, *, target: int | str | None = None
) -> InterventionEffect:
    """Let the head read another vector than the last; costs no forward pass.

    Args:
        where: "last", "first", "middle", a position, or "mean": the mean over positions of the vectors after ``ln_f``.
            The virtual tokens of a soft prompt are no text: they can be read by their position only.

    Raises:
        OptionError: there is no such place, token or class.

    Caveat: the head was trained to read the last position. At an early one it reads the verdict on the text up to there.
    """
    n_tokens, first = len(trace.tokens), trace.encoding.n_virtual
    if isinstance(where, str) and where not in PLACES:
        raise OptionError(f"There is no place {where!r}; choose one of {', '.join(PLACES)}, or a position.")
    with torch.no_grad():
        vectors = clf.body.ln_f(trace.resid[-1].to(clf.model.device))  # (pos, d_model)
        if where == "mean":
            vector, name = vectors[first:].mean(0), "mean of all tokens read"
        else:
            places = {"last": n_tokens - 1, "first": first, "middle": (first + n_tokens - 1) // 2}
            position = check_index("token", places.get(where, where), n_tokens)
            vector, name = vectors[position], f"token {position + 1} of {n_tokens} read"
        logits = clf.model.score(vector).float().cpu()
    chosen, other = clf.target(target, trace.logits)
    return InterventionEffect(name, trace.tokens, trace.labels, chosen, other, trace.logits, logits, trace.resid)


def read_out_changes(clf: Classifier, before: Trace, after: Trace, *, target: int | str | None = None) -> Tensor:
    """How far the margin that the head would read at each position differs between two texts [pos].

    Both texts run padded to one length, so that the very same sums are formed: up to the first token that differs the result
    is exactly 0, because by the causal mask nothing that comes later can be read.

    Returns:
        margin(after) − margin(before), in logits, at the positions that both texts have.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, before.logits)
    lengths = len(before.tokens), len(after.tokens)
    longer = before.input_ids if lengths[0] > lengths[1] else after.input_ids
    margins = []
    for trace in (before, after):
        padded = torch.cat([trace.input_ids, longer[len(trace.input_ids) :]])
        with torch.no_grad():
            logits = clf.model.score(run_edited(clf, padded[None], [])[0]).float().cpu()  # (pos, class)
        margins.append(logits[: min(lengths), chosen] - logits[: min(lengths), other])
    return margins[1] - margins[0]


def _check_sources(trace: Trace, sources: Sequence[int]) -> list[int]:
    checked = sorted({check_index("token", source, len(trace.tokens)) for source in sources})
    if len(trace.tokens) == 1:
        raise OptionError("The text has one token only, so there is nothing to cut. Type a longer one.")
    if not checked:
        raise OptionError("Nothing is cut yet; choose one or more tokens before the last.")
    if trace.last_token_index in checked:
        raise OptionError(
            f"Token {trace.last_token_index} is the last one and can't be cut: nothing comes after it, and a token always "
            "reads itself. Choose earlier ones; all of them leave only the last word."
        )
    return checked


def _check_layers(clf: Classifier, layers: Sequence[int] | None) -> list[int]:
    given = range(clf.n_layer) if layers is None else layers
    checked = sorted({check_index("layer", layer, clf.n_layer) for layer in given})
    if not checked:
        raise OptionError("There is no layer to cut in; choose one or more, or None for all.")
    return checked


def _check_route(route: str) -> None:
    if route not in ("every", "direct"):
        raise OptionError(f'There is no route {route!r}; choose "every" or "direct".')


def _layers_named(clf: Classifier, layers: list[int]) -> str:
    """What a name says of layers, for a reader, who counts from 1; nothing where all of them are meant."""
    if len(layers) == clf.n_layer:
        return ""
    first, last = layers[0] + 1, layers[-1] + 1
    if len(layers) == 1:
        return f" in layer {first}"
    if len(layers) == last - first + 1:
        return f" in layers {first} to {last}"
    return f" in layers {', '.join(str(layer + 1) for layer in layers)}"
