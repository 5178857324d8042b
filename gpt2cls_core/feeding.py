"""Feed a classifier as other people's code feeds it: padded ids, with a mask or without, with positions or without.

`trace` reads one text and nothing else, so nothing can go wrong there. Real code reads batches: shorter texts are filled up with
a *pad* token, an attention mask says which tokens are real, position ids say where each stands, and
`GPT2ForSequenceClassification` finds the last token of each text by itself, as the last id that is not the pad id. `feed` runs
that very class with whatever it is given, and keeps what the head makes of every position, so that one can see what was read
and what should have been.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .classifier import Classifier
from .errors import OptionError
from .trace import forward_hooks

if TYPE_CHECKING:
    from transformers import GPT2ForSequenceClassification

__all__ = ["Run", "check_count", "check_room", "counted", "feed", "pad_id", "read_last"]


@dataclass(frozen=True, eq=False)
class Run:
    """What one run of the model's own ``forward`` computed; of a batch, its first row.

    Attributes:
        resid: residual stream [layer+1 pos d_model], before ``ln_f``.
        logits: what the head makes of every position [pos class].
        pooled: what ``forward`` returned [class]: the row of `logits` that it took for the last token's.
    """

    resid: Tensor
    logits: Tensor
    pooled: Tensor


def feed(
    clf: Classifier,
    ids: Tensor,
    *,
    mask: Tensor | None = None,
    positions: Tensor | None = None,
    as_embeddings: bool = False,
) -> Run:
    """Run ``GPT2ForSequenceClassification.forward`` and keep what it computed on the way.

    Args:
        ids: int64 [pos], or [batch pos], of which the first row is kept.
        mask: attention mask of the same shape, 1 for real tokens; None lets every token be read, as the model does.
        positions: position ids of the same shape; None counts from 0, pads included, as the model does.
        as_embeddings: pass ``inputs_embeds`` in place of the ids; the model can't see then which tokens are pads, and
            says so once in its log.

    Caveat: a model without a pad token can't read batches; it is given the end-of-text token as one, as is usual.
    """
    ids = torch.atleast_2d(ids).to(clf.model.device)
    mask = torch.ones_like(ids) if mask is None else torch.atleast_2d(mask).to(ids)
    positions = None if positions is None else torch.atleast_2d(positions).to(ids)
    given = {"inputs_embeds": clf.body.wte(ids)} if as_embeddings else {"input_ids": ids}
    resid: list[Tensor] = []
    logits: list[Tensor] = []

    def keep_resid(_module: nn.Module, _inputs: object, output: Tensor | tuple) -> None:
        resid.append((output[0] if isinstance(output, tuple) else output)[0])

    def keep_logits(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        logits.append(output[0])

    pairs = [(module, keep_resid) for module in (clf.body.drop, *clf.body.h)]
    with torch.inference_mode(), forward_hooks(*pairs, (clf.model.score, keep_logits)):
        output = _with_pad(clf)(**given, attention_mask=mask, position_ids=positions, use_cache=False, return_dict=True)
    kept = (torch.stack(resid), logits[0], output.logits[0])
    return Run(*(tensor.detach().to("cpu", torch.float32).clone() for tensor in kept))


def read_last(clf: Classifier, ids: Tensor) -> Tensor:
    """The honest reading of ids [pos]: the body alone, and the head at the last position by its index. Logits [class]."""
    ids = ids[None].to(clf.model.device)
    with torch.inference_mode():
        hidden = clf.body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
        return clf.model.score(hidden[0, ids.shape[1] - 1]).float().cpu().clone()


def pad_id(clf: Classifier) -> int:
    """The id to pad with: the model's own pad, or the tokenizer's, or the end-of-text token's.

    Raises:
        OptionError: the vocabulary holds none of them.
    """
    config, tokenizer = clf.model.config, clf.tokenizer
    known = (config.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, config.eos_token_id)
    found = next((i for i in known if isinstance(i, int) and 0 <= i < config.vocab_size), None)
    if found is None:
        raise OptionError(
            f"{clf.name} has neither a pad token nor an end-of-text token, so nothing can be padded; "
            "set model.config.pad_token_id."
        )
    return found


def counted(n: int, what: str) -> str:
    """ "1 token", "2 tokens"."""
    return f"{n} {what}{'s' * (n != 1)}"


def check_count(what: str, count: int) -> int:
    """`count` as a whole number from 1 up.

    Raises:
        OptionError: it is none.
    """
    try:
        count = int(operator.index(count))
    except TypeError:
        raise OptionError(f"{what} must be a whole number from 1 up, not {count!r}.") from None
    if count < 1:
        raise OptionError(f"{what} must be a whole number from 1 up, not {count}.")
    return count


def check_room(clf: Classifier, n_tokens: int, n_more: int) -> None:
    """See that a text of `n_tokens` and `n_more` further tokens fit into the context.

    Raises:
        OptionError: they do not.
    """
    room = clf.context - n_tokens
    if n_more > room:
        advice = f"at most {room}, or a shorter text" if room > 0 else "a shorter text"
        raise OptionError(
            f"There is no room for {n_more} more: the text has {counted(n_tokens, 'token')} and {clf.name} reads "
            f"{clf.context} at once. Take {advice}."
        )


def _with_pad(clf: Classifier) -> GPT2ForSequenceClassification:
    """The classifier's model, or a shallow copy that knows a pad where it knows none; the weights are shared."""
    if clf.model.config.pad_token_id is not None:
        return clf.model
    model = copy.copy(clf.model)
    model.config = copy.copy(clf.model.config)
    model.config.pad_token_id = pad_id(clf)
    return model
