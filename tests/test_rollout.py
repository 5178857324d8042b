"""Rollout against arithmetic on paper, loops, and its own null."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from conftest import TEXT
from torch import Tensor
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import (
    Classifier,
    ModelError,
    OptionError,
    Rollout,
    Trace,
    attention_rollout,
    gradient_weighted_rollout,
    trace,
)
from gpt2cls_core.rollout import uniform_causal_attention


def with_attention(tr: Trace, attention: Tensor) -> Trace:
    """A trace that looked where we say [layer head query key]."""
    n = attention.shape[-1]
    encoding = dataclasses.replace(tr.encoding, tokens=tr.tokens[:n] if n <= 7 else ("x",) * n)
    return dataclasses.replace(tr, encoding=encoding, attention=attention)


@pytest.fixture
def by_hand(tr: Trace) -> Trace:
    """Two layers of two heads on three tokens."""
    itself = torch.eye(3)
    first = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    middle = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    return with_attention(tr, torch.stack([torch.stack([itself, first]), torch.stack([middle, middle])]))


# --- by hand ---


def test_rollout_of_two_layers_and_three_tokens_worked_out_by_hand(by_hand: Trace) -> None:
    rollout = attention_rollout(by_hand)
    # layer 1 mixes to [[1, 0, 0], [¼, ¾, 0], [¼, 0, ¾]], layer 2 to [[1, 0, 0], [0, 1, 0], [0, ½, ½]]
    assert rollout.weights.tolist() == [[1, 0, 0], [0.25, 0.75, 0], [0.25, 0.375, 0.375]]
    assert rollout.flow.tolist() == [[0.25, 0.375, 0.375], [0, 0.5, 0.5], [0, 0, 1]]
    assert not rollout.sink_removed


def test_null_of_two_layers_and_three_tokens_worked_out_by_hand(by_hand: Trace) -> None:
    rollout = attention_rollout(by_hand)
    # uniform attention mixes to [[1, 0, 0], [¼, ¾, 0], [1/6, 1/6, 2/3]] in both layers
    expected = torch.tensor([[72.0, 0, 0], [31.5, 40.5, 0], [23, 17, 32]]) / 72
    torch.testing.assert_close(rollout.null, expected)  # default float32 tolerance
    torch.testing.assert_close(rollout.null_flow[1], torch.tensor([1.0, 1, 4]) / 6)
    torch.testing.assert_close(rollout.beyond[2], torch.tensor([18 - 23, 27 - 17, 27 - 32]) / 72)


def test_rollout_without_the_sink_worked_out_by_hand(by_hand: Trace) -> None:
    rollout = attention_rollout(by_hand, remove_sink=True)
    # layer 1 keeps every position to itself once the first token is gone; layer 2 never looked there
    assert rollout.weights.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]]
    # uniform without the first token: [[1, 0, 0], [0, 1, 0], [0, ½, ½]], mixed with ½ I and squared
    torch.testing.assert_close(rollout.null, torch.tensor([[1, 0, 0], [0, 1, 0], [0, 7 / 16, 9 / 16]]))
    assert rollout.sink_removed


def test_a_query_that_looked_at_the_sink_alone_keeps_to_itself(tr: Trace) -> None:
    sink = torch.zeros(1, 2, 3, 3)
    sink[..., 0] = 1
    assert attention_rollout(with_attention(tr, sink), remove_sink=True).weights.tolist() == torch.eye(3).tolist()


def test_another_residual_share_worked_out_by_hand(by_hand: Trace) -> None:
    first_layer = with_attention(by_hand, by_hand.attention[:1])
    rollout = attention_rollout(first_layer, residual=0.2)
    torch.testing.assert_close(rollout.weights[2], torch.tensor([0.4, 0, 0.6]))  # 0.8 · ½, 0, 0.2 + 0.8 · ½


def test_uniform_causal_attention_worked_out_by_hand() -> None:
    expected = torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(uniform_causal_attention(3), expected)


def test_one_token_keeps_everything(tr: Trace) -> None:
    single = with_attention(tr, torch.ones(3, 2, 1, 1))
    for remove_sink in (False, True):
        assert attention_rollout(single, remove_sink=remove_sink).weights.tolist() == [[1.0]]


# --- identities ---


@pytest.fixture(params=[(0.5, False), (0.5, True), (0.3, False)], ids=["plain", "sink removed", "residual 0.3"])
def rollout(request: pytest.FixtureRequest, tr: Trace) -> Rollout:
    residual, remove_sink = request.param
    return attention_rollout(tr, residual=residual, remove_sink=remove_sink)


def test_rows_sum_to_one_and_never_look_ahead(rollout: Rollout) -> None:
    assert rollout.weights.shape == rollout.null.shape == (7, 7)
    for weights in (rollout.weights, rollout.null):
        torch.testing.assert_close(weights.sum(-1), torch.ones(7))  # default float32 tolerance
        assert not weights.triu(1).any()
        assert (weights >= 0).all()
    torch.testing.assert_close(rollout.beyond.sum(-1), torch.zeros(7), atol=1e-6, rtol=0)  # float32
    assert rollout.beyond.abs().max() > 0.01


def test_flow_starts_at_the_last_token_and_ends_in_the_last_row(rollout: Rollout) -> None:
    assert rollout.flow.shape == rollout.null_flow.shape == (4, 7)
    for flow, weights in ((rollout.flow, rollout.weights), (rollout.null_flow, rollout.null)):
        assert flow[-1].tolist() == [0, 0, 0, 0, 0, 0, 1]
        torch.testing.assert_close(flow[0], weights[-1])  # multiplied in the other order
        torch.testing.assert_close(flow.sum(-1), torch.ones(4))


def test_without_a_sink_nothing_flows_to_the_first_token(tr: Trace) -> None:
    removed = attention_rollout(tr, remove_sink=True)
    assert removed.weights[1:, 0].tolist() == [0.0] * 6
    assert removed.null[1:, 0].tolist() == [0.0] * 6
    assert (attention_rollout(tr).weights[1:, 0] > 0.05).all()


def test_residual_one_keeps_and_residual_zero_is_attention_alone(tr: Trace) -> None:
    assert torch.equal(attention_rollout(tr, residual=1).weights, torch.eye(7))
    a, b, c = tr.attention.mean(1)
    torch.testing.assert_close(attention_rollout(tr, residual=0).weights, c @ b @ a)  # default float32 tolerance


def test_the_trace_is_left_as_it_was(tr: Trace) -> None:
    before = tr.attention.clone()
    attention_rollout(tr, remove_sink=True)
    assert torch.equal(tr.attention, before)


# --- by an independent route ---


@pytest.mark.parametrize("remove_sink", [False, True])
def test_parity_with_loops_over_hugging_faces_attention(clf: Classifier, tr: Trace, remove_sink: bool) -> None:
    with torch.no_grad():
        layers = clf.model(tr.input_ids[None], output_attentions=True).attentions
    rolled = [[float(i == j) for j in range(7)] for i in range(7)]
    for layer in layers:
        mixed = []
        for query in range(7):
            row = [sum(float(layer[0, head, query, key]) for head in range(2)) / 2 for key in range(7)]
            if remove_sink and query:
                row = [0.0, *(weight / sum(row[1:]) for weight in row[1:])]
            mixed.append([0.5 * weight + 0.5 * (key == query) for key, weight in enumerate(row)])
        rolled = [[sum(mixed[q][m] * rolled[m][k] for m in range(7)) for k in range(7)] for q in range(7)]
    weights = attention_rollout(tr, remove_sink=remove_sink).weights
    torch.testing.assert_close(weights, torch.tensor(rolled))  # default float32 tolerance


def test_parity_of_the_flow_with_a_sum_over_all_paths(tr: Trace) -> None:
    a, b, c = (0.5 * torch.eye(7) + 0.5 * layer for layer in tr.attention.mean(1))
    for key in range(7):
        paths = sum(float(c[6, m] * b[m, n] * a[n, key]) for m in range(7) for n in range(7))
        assert float(attention_rollout(tr).flow[0, key]) == pytest.approx(paths, abs=1e-6)  # float32
        assert float(attention_rollout(tr).flow[2, key]) == pytest.approx(float(c[6, key]), abs=1e-6)


# --- gradient-weighted rollout ---


def test_parity_of_chefers_rollout_with_loops_over_hugging_faces_outputs(clf: Classifier, tr: Trace) -> None:
    embeddings = clf.body.wte.weight[tr.input_ids][None].clone().requires_grad_()
    theirs = clf.model(inputs_embeds=embeddings, output_attentions=True)
    gradients = torch.autograd.grad(theirs.logits[0, 2] - theirs.logits[0, 4], theirs.attentions)
    relevance = [[float(i == j) for j in range(7)] for i in range(7)]
    for attention, gradient in zip(theirs.attentions, gradients, strict=True):
        product = (attention * gradient)[0].tolist()
        useful = [[sum(max(0.0, head[q][k]) for head in product) / 2 for k in range(7)] for q in range(7)]
        relevance = [
            [relevance[q][k] + sum(useful[q][m] * relevance[m][k] for m in range(7)) for k in range(7)]
            for q in range(7)
        ]
    ours = gradient_weighted_rollout(clf, tr, target=2)
    assert ours.other == 4
    torch.testing.assert_close(ours.relevance, torch.tensor(relevance), atol=1e-5, rtol=1e-4)  # float32 gradients
    assert ours.relevance[-1, :-1].max() > 0.01, "an identity matrix would prove nothing"


def test_gradient_rollout_of_a_body_that_writes_nothing_is_the_identity(clf: Classifier) -> None:
    silent = dataclasses.replace(clf, model=copy.deepcopy(clf.model))
    for block in silent.body.h:
        block.attn.c_proj.weight.zero_()
    assert gradient_weighted_rollout(silent, trace(silent, TEXT)).relevance.tolist() == torch.eye(7).tolist()


def test_gradient_rollout_never_looks_ahead_and_is_never_negative(clf: Classifier, tr: Trace) -> None:
    relevance = gradient_weighted_rollout(clf, tr).relevance
    assert relevance.shape == (7, 7)
    assert not relevance.triu(1).any()
    assert (relevance >= torch.eye(7)).all(), "R starts from the identity and only grows"
    assert not relevance.requires_grad


def test_gradient_flow_runs_from_the_last_token_to_the_last_row(clf: Classifier, tr: Trace) -> None:
    result = gradient_weighted_rollout(clf, tr)
    assert result.flow.shape == (4, 7)  # layer+1, pos
    assert result.flow[-1].tolist() == [0, 0, 0, 0, 0, 0, 1]
    torch.testing.assert_close(result.flow[0], result.relevance[-1])  # multiplied in the other order
    assert (result.flow[:-1] >= result.flow[1:]).all(), "on the way down it only grows"


def test_gradient_rollout_depends_on_the_class_and_rollout_does_not_ask(clf2: Classifier) -> None:
    traced = trace(clf2, TEXT)
    positive, negative = (gradient_weighted_rollout(clf2, traced, target=label) for label in ("positive", "negative"))
    assert (positive.target, positive.other, negative.target, negative.other) == (1, 0, 0, 1)
    assert gradient_weighted_rollout(clf2, traced).target == 1
    assert not torch.allclose(positive.relevance, negative.relevance, atol=0.01)


def test_gradient_rollout_leaves_no_hook_and_no_gradient(clf: Classifier, tr: Trace) -> None:
    before = sum(len(module._forward_hooks) for module in clf.model.modules())
    gradient_weighted_rollout(clf, tr)
    assert sum(len(module._forward_hooks) for module in clf.model.modules()) == before
    assert all(p.grad is None and not p.requires_grad for p in clf.model.parameters())


# --- failures ---


@pytest.mark.parametrize("residual", [-0.1, 1.1, float("nan")])
def test_a_residual_share_outside_zero_to_one_is_refused(tr: Trace, residual: float) -> None:
    with pytest.raises(OptionError, match=f"residual must lie between 0 and 1, not {residual}"):
        attention_rollout(tr, residual=residual)


@pytest.mark.parametrize("target", [5, "great"])
def test_a_class_that_does_not_exist_is_refused(clf: Classifier, tr: Trace, target: int | str) -> None:
    with pytest.raises(OptionError, match=f"There is no class {target!r}; the classes are "):
        gradient_weighted_rollout(clf, tr, target=target)


def test_a_model_without_attention_weights_is_refused_and_left_without_hooks(clf: Classifier, tr: Trace) -> None:
    model = GPT2ForSequenceClassification.from_pretrained(clf.name, attn_implementation="sdpa").eval()
    fast = dataclasses.replace(clf, model=model)
    with pytest.raises(ModelError) as caught:
        gradient_weighted_rollout(fast, tr)
    assert str(caught.value) == 'The model returns no attention weights; load it with attn_implementation="eager".'
    assert not any(module._forward_hooks for module in model.modules())
