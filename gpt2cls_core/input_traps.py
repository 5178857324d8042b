"""Traps that lie in the text, not in the code: an end that is missing, or one that was added.

Whatever ends the text is what the head reads. A full stop more or less is another last token (`final_punctuation`). And a text
longer than the model's context loses one of its ends (`context_overrun`): if it is the last, the head reads a word in
the middle of a sentence, whose vector has seen nothing of what was cut.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .classifier import Classifier
from .errors import OptionError
from .feeding import check_count, counted, feed, read_last
from .trace import Trace
from .trap_result import Trap, as_trap
from .traps import NEUTRAL

__all__ = ["FINAL", "context_overrun", "final_punctuation"]

FINAL = ".!?…。！？؟"


def final_punctuation(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> Trap:
    """The text without its final punctuation, or with a full stop where it has none.

    No line of code is wrong here. Another last token is another question to the model, and the remedy is to train on both
    or to keep the punctuation as it was typed. By the causal mask, the verdict without the full stop is the running verdict
    one token earlier (see `lens`), unless the tokenizer spells the two endings differently.

    Raises:
        OptionError: there is no such class.
    """
    typed = trace.text.rstrip()
    bare = typed.rstrip(FINAL)
    dropped = bare != typed and bare.strip() != ""
    changed = clf.encode(bare if dropped else typed + ".")
    run = feed(clf, changed.input_ids)
    n = len(trace.tokens)
    goes_on = len(changed) > n and torch.equal(changed.input_ids[:n], trace.input_ids)
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=trace.logits,
        wrong=run.logits[-1],
        remedied=read_last(clf, trace.input_ids),
        name="final punctuation dropped" if dropped else "full stop added",
        fed=f"{counted(len(changed), 'token')}, the text {'without its final punctuation' if dropped else 'and a full stop'}",
        tokens=changed.tokens,
        kinds=("text",) * len(changed),
        read=len(changed) - 1,
        should_read=n - 1 if goes_on else None,
        mistake=f"predict(clf, text.rstrip().rstrip({FINAL!r}))" if dropped else 'predict(clf, text.rstrip() + ".")',
        remedy="predict(clf, text)  # as typed; and train on texts with and without it",
    )


def context_overrun(
    clf: Classifier,
    trace: Trace,
    *,
    keep: Literal["head", "tail"] = "head",
    n_cut: int = 4,
    target: int | str | None = None,
) -> Trap:
    """A text longer than the context, of which one end is cut.

    The long text is the given one and neutral filler (`NEUTRAL` over and over, without its first tokens, so that the length
    comes out). To keep the head, as tokenizers do by default, is to cut the end: the filler stands first, and the text
    loses its last tokens. To keep the tail is to cut the start: the text stands first and loses its first tokens. The
    honest reading cuts as many tokens of filler instead: the long text's first ones, or those in its middle.

    Of real reviews, the two ends together say more than either (Sun et al. 2019, arXiv:1905.05583). With no cut at all
    GPT-2 stops with an error, because it has no position to put the next token at.

    Args:
        keep: which end is kept.
        n_cut: how many of the text's own tokens are cut.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: the text alone is longer than the context or has fewer than `n_cut` tokens, `n_cut` is below 1, `keep`
            is neither of the two, or there is no such class.

    Caveat: the honest margin is that of text and filler; it need not be that of the text alone.
    """
    if keep not in ("head", "tail"):
        raise OptionError(f'keep must be "head" or "tail", not {keep!r}.')
    filler = _filler(clf, trace, keep, n_cut)
    ids, whole, described = (_end_cut if keep == "head" else _start_cut)(trace, filler, n_cut)
    prompt = trace.encoding.n_virtual  # a soft prompt stays in front, whatever is cut
    virtual = trace.input_ids[:prompt]
    run = feed(clf, torch.cat([virtual, ids]))
    whole = torch.cat([virtual, whole])
    last = prompt + len(ids) - 1
    return as_trap(
        clf,
        trace,
        run,
        target=target,
        right=read_last(clf, whole),
        wrong=run.logits[last],
        remedied=feed(clf, whole).logits[last],
        tokens=trace.tokens[:prompt] + described.pop("tokens"),
        kinds=("text",) * prompt + described.pop("kinds"),
        read=last,
        should_read=None if keep == "head" else last,
        **described,
    )


Filler = tuple[Tensor, tuple[str, ...]]  # ids [pos] and tokens


def _filler(clf: Classifier, trace: Trace, keep: str, n_cut: int) -> Filler:
    """As much filler as makes the long text `n_cut` tokens too long."""
    prompt = trace.encoding.n_virtual
    n, context = len(trace.tokens) - prompt, clf.context - prompt
    if trace.tokens_cut:
        raise OptionError(
            f"The text alone is longer than the {context} tokens that {clf.name} reads at once, so there is no reading of "
            "all of it to compare with. Shorten it."
        )
    if check_count("n_cut", n_cut) > n:
        raise OptionError(f"n_cut can't be {n_cut}: the text has {counted(n, 'token')}.")
    piece = f"{NEUTRAL}\n" if keep == "head" else f"\n{NEUTRAL}"
    size = context + n_cut - n
    filler = clf.encode(piece * (size // (len(clf.encode(piece)) - prompt) + 2))
    return filler.input_ids[-size:], filler.tokens[-size:]


def _end_cut(trace: Trace, filler: Filler, n_cut: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Filler, then the text: ids with the end cut, ids with nothing of the text cut, and the trap in words."""
    prompt = trace.encoding.n_virtual
    ids = torch.cat([filler[0], trace.input_ids[prompt:]])
    n, size, kept = len(ids) - len(filler[0]), len(filler[0]), len(ids) - n_cut
    described = {
        "name": "too long, end cut",
        "fed": f"{kept} of {len(ids)} tokens: {size} neutral ones, then the text’s {n} without the last {n_cut}",
        "tokens": (filler[1] + trace.tokens[prompt:])[:kept],
        "kinds": ("filler",) * size + ("text",) * (n - n_cut),
        "mistake": f"model(ids[:, :{kept}]).logits",
        "remedy": f"model(ids[:, -{kept}:]).logits",
    }
    return ids[:kept], ids[-kept:], described


def _start_cut(trace: Trace, filler: Filler, n_cut: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The text, then filler: ids with the start cut, ids with nothing of the text cut, and the trap in words."""
    prompt = trace.encoding.n_virtual
    ids = torch.cat([trace.input_ids[prompt:], filler[0]])
    n, size, kept = len(ids) - len(filler[0]), len(filler[0]), len(ids) - n_cut
    described = {
        "name": "too long, start cut",
        "fed": f"{kept} of {len(ids)} tokens: the text’s {n} without the first {n_cut}, then {size} neutral ones",
        "tokens": (trace.tokens[prompt:] + filler[1])[n_cut:],
        "kinds": ("text",) * (n - n_cut) + ("filler",) * size,
        "mistake": f"model(ids[:, -{kept}:]).logits",
        "remedy": f"model(torch.cat([ids[:, :{n}], ids[:, {n + n_cut}:]], 1)).logits",
    }
    return ids[n_cut:], torch.cat([ids[:n], ids[n + n_cut :]]), described
