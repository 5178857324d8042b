"""The last token must be the last token: ways to read another one, without any error.

The head reads one vector. Whoever hands it a pad's, or lets pads into the attention, or moves the text to other positions,
gets a verdict all the same, and one that looks sound. Each function makes one such mistake on one text, and remedies it:

- `right_padding`, `batch_pooling`: pads behind the text, and the last *slot* is read in place of the last *token*.
- `left_padding`: pads in front, and the model is not told where the text stands, or which tokens are real.
- `typed_pad`: ``GPT2ForSequenceClassification`` takes the last id that is not the pad's for the last token. Where the pad is
  ``<|endoftext|>``, as is usual for GPT-2, a text that ends in it is read one token too early.
- `embeddings_as_input`: given ``inputs_embeds``, the same class can't see pads and reads the last slot.

By the causal mask, pads behind a text can't change the vectors of the text itself: it is enough to read the right one. Pads in
front are seen by every token unless an attention mask hides them, and shift every position unless position ids are given.
The model's own ``forward`` is run in all of them (see `feeding`). Mistakes in the text itself are in `input_traps`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .classifier import Classifier
from .errors import OptionError
from .feeding import check_count, check_room, counted, feed, pad_id, read_last
from .lens import vocabulary_texts
from .trace import Trace
from .trap_result import PAD, Kind, Trap, as_trap

__all__ = ["NEUTRAL", "batch_pooling", "embeddings_as_input", "left_padding", "right_padding", "typed_pad"]

NEUTRAL = "The film was shown on a Tuesday evening in a small hall near the station."  # to readers, if not to models
LAST_SLOT = "model.score(hidden)[:, -1]"
BY_INDEX = "model.score(hidden)[torch.arange(len(hidden)), mask.sum(1) - 1]"


def right_padding(clf: Classifier, trace: Trace, *, n_pad: int = 4, target: int | str | None = None) -> Trap:
    """Pads behind the text, and the last slot is read: the vector of a pad.

    The pad has seen the whole text, so its vector is no nonsense, but the head was never trained to read one.

    Args:
        n_pad: how many pads.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: no room for the pads, `n_pad` below 1, no pad token, or no such class.
    """
    ids, mask = _pad(clf, trace, n_pad)
    run = feed(clf, ids, mask=mask)
    last = trace.last_token_index
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=trace.logits,
        wrong=run.logits[-1],
        remedied=run.logits[last],
        name="right padding, last slot read",
        fed=f"the text’s {counted(last + 1, 'token')}, then {counted(n_pad, 'pad')}",
        read=len(ids) - 1,
        should_read=last,
        mistake=LAST_SLOT,
        remedy=BY_INDEX,
        **_shown(trace, n_pad),
    )


def left_padding(
    clf: Classifier,
    trace: Trace,
    *,
    n_pad: int = 4,
    missing: Literal["positions", "mask", "both"] = "positions",
    target: int | str | None = None,
) -> Trap:
    """Pads in front, and the model is not told: the right place is read, and holds another vector.

    Without position ids GPT-2 counts from the first pad, and the text stands at other positions than alone. Without an
    attention mask every token reads the pads. Tokenizers that pad on the left give the mask, but no positions.

    Args:
        n_pad: how many pads.
        missing: what the mistake leaves out.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: no room for the pads, `n_pad` below 1, no pad token, no such class, or `missing` is none of the three.
    """
    if missing not in _LEFT_OUT:
        raise OptionError(f'missing must be "positions", "mask" or "both", not {missing!r}.')
    ids, mask = _pad(clf, trace, n_pad, left=True)
    told = {"mask": mask, "positions": (mask.cumsum(0) - 1).clamp(min=0)}
    run = feed(clf, ids, **{name: value for name, value in told.items() if missing not in (name, "both")})
    name, given = _LEFT_OUT[missing]
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=trace.logits,
        wrong=run.logits[-1],
        remedied=feed(clf, ids, **told).logits[-1],
        name=f"left padding, no {name}",
        fed=f"{counted(n_pad, 'pad')}, then the text’s {counted(len(trace.tokens), 'token')}",
        read=len(ids) - 1,
        should_read=len(ids) - 1,
        mistake=f"model(ids{given}).logits",
        remedy="model(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits",
        **_shown(trace, n_pad, left=True),
    )


def batch_pooling(clf: Classifier, trace: Trace, beside: str | None = None, *, target: int | str | None = None) -> Trap:
    """The shorter text of a batch of two, read at the batch's last slot: its company changes the verdict.

    Args:
        beside: the other text, which must be the longer one; None takes `NEUTRAL`, repeated until it is.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        TextError: `beside` can't be read.
        OptionError: `beside` is not longer than the text, the context has no room for a longer one, no pad token, or no
            such class.
    """
    n = len(trace.tokens)
    check_room(clf, n, 1)
    companions = (" ".join([NEUTRAL] * times) for times in range(1, n + 2)) if beside is None else [beside]
    longer = next((found for found in map(clf.encode, companions) if len(found) > n), None)
    if longer is None:
        raise OptionError(f"The shorter text of a batch is misread; take one of more than {n} tokens beside this one.")
    n_pad = len(longer) - n
    ids, mask = _pad(clf, trace, n_pad)
    run = feed(clf, torch.stack([ids, longer.input_ids]), mask=torch.stack([mask, torch.ones_like(mask)]))
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=trace.logits,
        wrong=run.logits[-1],
        remedied=run.logits[n - 1],
        name="batch of two, last slot read",
        fed=f"the text’s {counted(n, 'token')} and {counted(n_pad, 'pad')}, beside a text of {len(longer)} tokens",
        read=len(ids) - 1,
        should_read=n - 1,
        mistake=LAST_SLOT,
        remedy=BY_INDEX,
        **_shown(trace, n_pad),
    )


def typed_pad(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> Trap:
    """The text ends in the pad token itself, and the model's own ``forward`` takes that for padding.

    Whether the token belongs to the text is for its writer to say; ``forward`` decides silently that it does not, and
    reads the token before. A classifier that was trained to read at a closing ``<|endoftext|>`` is misread on every text.

    Returns:
        `logits_right` is the reading at the typed token here, and `logits_wrong` the verdict as if it were not there.

    Raises:
        OptionError: no room for one more token, no pad token, or no such class.
    """
    n = len(trace.tokens)
    check_room(clf, n, 1)
    pad = pad_id(clf)
    (typed,) = vocabulary_texts(clf, [pad])
    ids = torch.cat([trace.input_ids, torch.tensor([pad])])
    run = feed(clf, ids)
    not_pad = (ids != pad).nonzero().flatten().tolist()
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=read_last(clf, ids),
        wrong=run.pooled,
        remedied=run.logits[n],
        name=f"{typed} typed, taken for a pad",
        fed=f"the text’s {counted(n, 'token')}, then {typed} as a part of it",
        tokens=(*trace.tokens, typed),
        kinds=("text",) * (n + 1),
        read=max(not_pad, default=0),
        should_read=n,
        mistake="model(ids).logits",
        remedy="model.score(hidden)[torch.arange(len(hidden)), last_token_index]",
    )


def embeddings_as_input(clf: Classifier, trace: Trace, *, n_pad: int = 4, target: int | str | None = None) -> Trap:
    """Pads behind the text, passed as embeddings: the model's own ``forward`` can't see them and reads the last one.

    Soft prompts are passed this way. The attention mask is no help, because ``forward`` looks for pads by their id; it
    warns of that in the log, once.

    Args:
        n_pad: how many pads.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: no room for the pads, `n_pad` below 1, no pad token, or no such class.
    """
    ids, mask = _pad(clf, trace, n_pad)
    run = feed(clf, ids, mask=mask, as_embeddings=True)
    last = trace.last_token_index
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=trace.logits,
        wrong=run.pooled,
        remedied=run.logits[last],
        name="inputs_embeds, pads unseen",
        fed=f"the embeddings of the text’s {counted(last + 1, 'token')}, then of {counted(n_pad, 'pad')}",
        read=len(ids) - 1,
        should_read=last,
        mistake="model(inputs_embeds=embeddings, attention_mask=mask).logits",
        remedy=BY_INDEX,
        **_shown(trace, n_pad),
    )


_LEFT_OUT = {  # what it is called, and what is passed all the same
    "positions": ("position ids", ", attention_mask=mask"),
    "mask": ("attention mask", ", position_ids=positions"),
    "both": ("mask, no position ids", ""),
}


def _pad(clf: Classifier, trace: Trace, n_pad: int, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """The padded ids [pos], and the attention mask that tells text (1) from pads (0)."""
    n_pad = check_count("n_pad", n_pad)
    check_room(clf, len(trace.tokens), n_pad)
    pads = torch.full((n_pad,), pad_id(clf))
    parts = [(pads, torch.zeros_like(pads)), (trace.input_ids, torch.ones_like(trace.input_ids))]
    ids, mask = zip(*(parts if left else parts[::-1]), strict=True)
    return torch.cat(ids), torch.cat(mask)


def _shown(trace: Trace, n_pad: int, *, left: bool = False) -> dict[str, tuple]:
    """Tokens and kinds of a padded text, as fields of a `Trap`."""
    text: tuple[Kind, ...] = ("text",) * len(trace.tokens)
    pads, kinds = (PAD,) * n_pad, ("pad",) * n_pad
    if left:
        return {"tokens": (*pads, *trace.tokens), "kinds": (*kinds, *text)}
    return {"tokens": (*trace.tokens, *pads), "kinds": (*text, *kinds)}
