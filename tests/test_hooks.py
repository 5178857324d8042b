"""Hooks hold in their own thread: who reads a verdict beside an intervention gets the verdict alone, bit for bit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import TEXT

from gpt2cls_core import Classifier, Trace, ablate_head, cut_attention, patch_states, trace
from gpt2cls_core.edits import edited, head_edit
from gpt2cls_core.hooks import here, hooked
from gpt2cls_core.trace import forward_hooks

PARTS = ("resid", "attn_out", "mlp_out", "attention", "logits")
ROUNDS = 60


def once(action: Callable[[], object], results: list[object]) -> Callable[..., None]:
    """A hook that acts at its first call alone."""
    calls: list[None] = []

    def hook(*_: object) -> None:
        calls.append(None)
        if len(calls) == 1:
            results.append(in_another_thread(action))

    return hook


def in_another_thread(action: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(action).result()


def registered(clf: Classifier) -> list[list[int]]:
    """Numbers of the hooks of every module; transformers leaves some of its own where attention was asked for."""
    return [[*module._forward_hooks, *module._forward_pre_hooks] for module in clf.model.modules()]


def same(one: Trace, other: Trace) -> bool:
    """Bit for bit: the same sums in the same order."""
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def test_a_hook_is_felt_in_its_own_thread_alone() -> None:
    layer, felt = torch.nn.Linear(2, 2), []
    with forward_hooks((layer, lambda *_: felt.append(threading.get_ident()))):
        layer(torch.ones(2))
        in_another_thread(lambda: layer(torch.ones(2)))
    assert felt == [threading.get_ident()]


def test_a_verdict_read_while_another_thread_has_edits_in_force_is_the_verdict_alone(
    clf: Classifier, tr: Trace
) -> None:
    with edited([head_edit(clf, layer, head) for layer in range(3) for head in range(2)]):
        assert same(in_another_thread(lambda: trace(clf, TEXT)), tr)
        assert not torch.equal(trace(clf, TEXT).logits, tr.logits)  # in this thread they are felt


def test_a_verdict_read_in_the_middle_of_anothers_forward_pass_is_the_verdict_alone(clf: Classifier, tr: Trace) -> None:
    read: list[Trace] = []
    with forward_hooks((clf.body.h[1].attn, once(lambda: trace(clf, TEXT), read))):
        mine = trace(clf, TEXT)
    assert len(read) == 1
    assert same(read[0], tr)
    assert same(mine, tr)


def test_an_edit_with_named_arguments_passes_others_by(clf: Classifier, tr: Trace) -> None:
    """The mask of a cut is put in by name; whoever runs the block beside it keeps the causal one."""
    results: list[Trace] = []
    with forward_hooks((clf.body.h[0], once(lambda: trace(clf, TEXT), results))):
        cut = cut_attention(clf, tr, [1, 2], route="every")
    assert same(results[0], tr)
    assert cut.margin_after == cut_attention(clf, tr, [1, 2], route="every").margin_after


def test_interventions_and_verdicts_at_the_same_time_give_what_they_give_alone(clf: Classifier, tr: Trace) -> None:
    other = trace(clf, "good film, but not for us"[: len(TEXT)])
    works = {
        "cut": lambda: cut_attention(clf, tr, [0, 3], route="direct").logits_after.tolist(),
        "head": lambda: ablate_head(clf, tr, 1, 1).logits_after.tolist(),
        "patch": lambda: patch_states(clf, tr, tr, [(1, 2)]).logits_after.tolist(),
        "verdict": lambda: trace(clf, TEXT).logits.tolist(),
        "another": lambda: trace(clf, other.encoding).logits.tolist(),
    }
    alone = {name: work() for name, work in works.items()}
    before = registered(clf)
    start = threading.Barrier(len(works))

    def repeat(name: str) -> list[object]:
        start.wait()
        return [works[name]() for _ in range(ROUNDS)]

    with ThreadPoolExecutor(len(works)) as threads:
        beside = dict(zip(works, threads.map(repeat, works), strict=True))
    assert beside == {name: [result] * ROUNDS for name, result in alone.items()}
    assert registered(clf) == before


def test_hooks_are_gone_when_one_could_not_be_registered() -> None:
    layer = torch.nn.Linear(2, 2)

    def broken() -> None:
        raise RuntimeError("on purpose")

    with (
        pytest.raises(RuntimeError, match="on purpose"),
        hooked([lambda: layer.register_forward_hook(here(lambda *_: None)), broken]),
    ):
        pass
    assert not layer._forward_hooks
