"""The live lesson's JavaScript in node, with torch in the engine's place: what differs then is the JavaScript."""

from __future__ import annotations

import base64
import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from app import models
from gpt2cls_core import (
    Classifier,
    Encoding,
    TextError,
    Trace,
    class_lens,
    cut_attention,
    cut_each,
    head_products,
    integrated_gradients,
    patch_states,
    trace,
)
from gpt2cls_core.attribution import margin_of_embeddings
from gpt2cls_core.lens import head_logits
from gpt2cls_core.trace import forward_hooks


class Node:
    """A running node with a book.

    Args:
        node: the program.
        book: as `app.live.book.book` makes it.
    """

    def __init__(self, node: str, book: dict[str, Any]) -> None:
        script = Path(__file__).with_name("pipe.mjs")
        self.process = subprocess.Popen([node, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._send(book)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0

    def values(self, name: str, chapter: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
        """What a chapter's components show of a text, and the verdict."""
        self._send({"model": name, "chapter": chapter, "text": text, "options": options})
        engine = Engine(models.classifier(name))
        while "call" in (message := self._receive()):
            try:
                self._send(getattr(engine, message["call"])(*message["given"]))
            except TextError as error:
                self._send({"problem": str(error), "name": "TextError", **_kind(message["given"][0])})
        return message["values"]

    def call(self, name: str, *given: Any) -> Any:
        """What one of the functions of format.js or interventions.js gives."""
        self._send({"call": name, "given": given})
        return self._receive().get("answer")

    def _send(self, message: object) -> None:
        self.process.stdin.write(json.dumps(message, default=_tensor).encode() + b"\n")
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        return json.loads(self.process.stdout.readline())


class Engine:
    """What the engine of the page answers (app/live/engine.js), from torch."""

    def __init__(self, clf: Classifier) -> None:
        self.clf = clf

    def tokenize(self, text: str) -> dict[str, Any]:
        return _encoded(self.clf.encode(text))

    def read(self, text: str, _options: object = None) -> dict[str, Any]:
        read = _trace(self.clf, text)
        products, margins = head_products(self.clf, read), class_lens(self.clf, read).margins
        return {
            **_encoded(read.encoding),
            "logits": read.logits,
            "margin": products.margin,
            "prefix_margins": margins[-1],
            "lens": margins,
            "states": read.resid,
            "final": products.vector,
            "attention": read.attention,
            "head": self.clf.score,
            "useful": _useful(self.clf, read),
        }

    def integrate(self, text: str, options: dict[str, Any]) -> dict[str, Any]:
        result = integrated_gradients(self.clf, self.clf.encode(text), baseline=options["baseline"])
        numbers = {"margin_input": result.margin_input, "margin_baseline": result.margin_baseline}
        return {"scores": result.scores, "delta": result.convergence_delta, "n_steps": result.n_steps, **numbers}

    def cut(self, text: str, options: dict[str, Any]) -> dict[str, Any]:
        read, where = _trace(self.clf, text), {"route": options["route"], "layers": options["layers"]}
        effect = cut_attention(self.clf, read, options["positions"], **where)
        logits = head_logits(self.clf, effect.resid)
        return {"logits": effect.logits_after, "margin": effect.margin_after, "lens": logits[..., 1] - logits[..., 0]}

    def cutEach(self, text: str, options: dict[str, Any]) -> torch.Tensor:
        return cut_each(self.clf, _trace(self.clf, text), route=options["route"], layers=options["layers"])

    def patchRow(self, text: str, other: str, options: dict[str, Any]) -> torch.Tensor:
        clean, corrupted = _trace(self.clf, text), _trace(self.clf, other)
        cells = [(options["layer"], position) for position in options["positions"]]
        return torch.tensor([patch_states(self.clf, clean, corrupted, [cell]).margin_after for cell in cells])


@lru_cache(maxsize=32)
def _trace(clf: Classifier, text: str) -> Trace:
    return trace(clf, text)


def _encoded(encoding: Encoding) -> dict[str, Any]:
    return {
        "text": encoding.text,
        "ids": encoding.input_ids.tolist(),
        "tokens": encoding.tokens,
        "offsets": encoding.offsets,
        "words": [{"text": word.text, "start": word.start, "stop": word.stop} for word in encoding.words],
        "tokens_cut": encoding.tokens_cut,
        "n_virtual": encoding.n_virtual,
    }


def _useful(clf: Classifier, read: Trace) -> torch.Tensor:
    """Attention times the margin's gradient by it, where that is above 0, averaged over heads [layer query key]."""
    kept: list[torch.Tensor] = []
    embeddings = clf.body.wte.weight[read.input_ids].detach()[None].requires_grad_()
    hooks = [(block.attn, lambda _module, _inputs, output: kept.append(output[1])) for block in clf.body.h]
    with torch.enable_grad(), forward_hooks(*hooks):
        gradients = torch.autograd.grad(margin_of_embeddings(clf, embeddings, 1, 0)[0], kept)
    return torch.stack([(a.detach() * g)[0].clamp(min=0).mean(0) for a, g in zip(kept, gradients, strict=True)])


def _kind(text: str) -> dict[str, Any]:
    """Why a text is refused, as the engine says it."""
    broken = next((i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if not text.strip():
        return {"kind": "empty"}
    return {"kind": "long", "n": len(text)} if broken is None else {"kind": "surrogate", "place": broken + 1}


def _tensor(value: object) -> object:
    """A tensor as the pipe carries it."""
    if isinstance(value, torch.Tensor):
        numbers = value.detach().float().contiguous().numpy()
        return {"f32": base64.b64encode(numbers.tobytes()).decode(), "shape": list(value.shape)}
    raise TypeError(f"{type(value).__name__} can't go through the pipe")
