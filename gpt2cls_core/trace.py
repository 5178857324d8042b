"""One forward pass, with everything that the lenses read.

A GPT-2 body keeps one vector per token, the *residual stream*. Each block adds to it twice: attention copies from earlier
positions, and the MLP computes in place. A `Trace` keeps that stream after every block, what was added, and where attention
looked, so that no lens needs a forward pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from .classifier import Classifier, Encoding
from .errors import ModelError
from .hooks import here, hooked
from .words import Word

__all__ = ["Trace", "forward_hooks", "trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What the model computed on the way to its verdict; float32 on the CPU, without a batch axis.

    Attributes:
        encoding: the text, its tokens, offsets, words and ids.
        labels: one name per class.
        resid: residual stream [layer+1 pos d_model] BEFORE ``ln_f``; 0 = token + position embedding, last = after the last block.
        attn_out: what each block's attention added [layer pos d_model].
        mlp_out: what each block's MLP added [layer pos d_model]; resid[l+1] = resid[l] + attn_out[l] + mlp_out[l].
        attention: softmax weights [layer head query key]; each row sums to 1, keys after the query are 0.
        logits: [class], read from the last position.
    """

    encoding: Encoding
    labels: tuple[str, ...]
    resid: Tensor
    attn_out: Tensor
    mlp_out: Tensor
    attention: Tensor
    logits: Tensor

    @property
    def text(self) -> str:
        return self.encoding.text

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.encoding.tokens

    @property
    def words(self) -> tuple[Word, ...]:
        return self.encoding.words

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        return self.encoding.offsets

    @property
    def input_ids(self) -> Tensor:
        return self.encoding.input_ids

    @property
    def tokens_cut(self) -> int:
        return self.encoding.tokens_cut

    @property
    def last_token_index(self) -> int:
        """The position that the head reads."""
        return len(self.tokens) - 1

    @property
    def probabilities(self) -> Tensor:
        """Softmax of the logits [class]."""
        return self.logits.softmax(-1)

    @property
    def label(self) -> str:
        """The predicted label."""
        return self.labels[int(self.logits.argmax())]


def forward_hooks(*pairs: tuple[nn.Module, Callable[..., object]]) -> AbstractContextManager[None]:
    """Register forward hooks, for this thread, and remove every one of them, also after an exception."""
    return hooked([partial(module.register_forward_hook, here(hook)) for module, hook in pairs])


def trace(clf: Classifier, text: str | Encoding) -> Trace:
    """Run the classifier once on one text and keep what it computed.

    Args:
        text: a text, or one already encoded by `Classifier.encode`.

    Raises:
        TextError: the text can't be read.
        ModelError: the model was not loaded with eager attention, so that there are no attention weights.
    """
    encoding = text if isinstance(text, Encoding) else clf.encode(text)
    blocks = list(clf.body.h)
    resid: list[Tensor] = []
    attn: list[Tensor] = []
    mlp: list[Tensor] = []
    attention: list[Tensor] = []

    # A forward hook that returns a value replaces the output, so these return None.
    def keep_embedding(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        resid.append(output[0])

    def keep_block(_module: nn.Module, _inputs: object, output: Tensor | tuple) -> None:
        resid.append((output[0] if isinstance(output, tuple) else output)[0])

    def keep_attention(_module: nn.Module, _inputs: object, output: tuple) -> None:
        if output[1] is None:
            raise ModelError('The model returns no attention weights; load it with attn_implementation="eager".')
        attn.append(output[0][0])
        attention.append(output[1][0])

    def keep_mlp(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        mlp.append(output[0])

    pairs = [(clf.body.drop, keep_embedding)]
    for block in blocks:
        pairs += [(block, keep_block), (block.attn, keep_attention), (block.mlp, keep_mlp)]
    with torch.inference_mode(), forward_hooks(*pairs):
        ids = encoding.input_ids[None].to(clf.model.device)
        hidden = clf.body(input_ids=ids, use_cache=False).last_hidden_state
        logits = clf.model.score(hidden[0, -1])
    # Stacked outside inference mode, so that the tensors may be used in any computation; each layer is freed once it is copied.
    kept = [_stacked(part) for part in (resid, attn, mlp, attention)]
    return Trace(encoding, clf.labels, *kept, logits.to("cpu", torch.float32).clone())


def _stacked(layers: list[Tensor]) -> Tensor:
    """The layers as one tensor [layer …]; the list is empty afterwards, so that a long text's attention isn't held twice."""
    kept = torch.empty(len(layers), *layers[0].shape)
    for place in reversed(range(len(layers))):
        kept[place] = layers.pop()
    return kept
