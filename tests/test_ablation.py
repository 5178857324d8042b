"""Heads, MLPs and directions taken away, against a model in loops."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from conftest import TEXT
from loops import ROUNDING, hooks, run
from torch import Tensor

from gpt2cls_core import (
    Classifier,
    LensProbes,
    OptionError,
    Trace,
    ablate_direction,
    ablate_each_head,
    ablate_head,
    ablate_mlp,
    probe_lens,
    punctuation_positions,
    sentiment_directions,
    trace,
)
from gpt2cls_core import resume as resuming


def directions(seed: int = 0) -> Tensor:
    """One direction per layer, of various lengths."""
    return torch.randn(4, 10, generator=torch.Generator().manual_seed(seed)) * torch.tensor([[0.5], [1], [2], [9]])


# --- by hand ---


def test_a_model_of_one_mlp_and_one_head_on_paper(clf2: Classifier) -> None:
    """Nothing writes but the first MLP and the second head of block 1, each a constant vector."""
    p = torch.tensor([1.0, -1] * 5)
    q = torch.tensor([1.0, 1, -1, -1, 1, 1, -1, -1, 0, 0]) * 1.25**0.5  # both: mean 0, variance 1, orthogonal
    model = copy.deepcopy(clf2.model)
    for name, parameter in model.named_parameters():
        parameter.fill_(1 if "ln_" in name and name.endswith("weight") else 0)
    model.transformer.wte.weight[:] = q
    model.transformer.h[0].mlp.c_proj.bias[:] = p
    block = model.transformer.h[1]
    block.attn.c_attn.bias[-1] = 1  # the last number that the second head copies
    block.attn.c_proj.weight[-1] = 2 * p
    model.score.weight[1] = p / 10
    by_hand = dataclasses.replace(clf2, model=model)
    read = trace(by_hand, "good film")
    # The last vector is q + p + 2 p: p's share is 3 / sqrt(10). Without the MLP 2 / sqrt(5), without the head 1 / sqrt(2).
    assert float(read.logits[1]) == pytest.approx(3 / 10**0.5, abs=1e-5)  # ln_f's ε
    assert ablate_mlp(by_hand, read, 0).margin_after == pytest.approx(2 / 5**0.5, abs=1e-5)
    assert ablate_head(by_hand, read, 1, 1).margin_after == pytest.approx(2**-0.5, abs=1e-5)
    expected = torch.full((3, 2), 3 / 10**0.5)
    expected[1, 1] = 2**-0.5
    torch.testing.assert_close(ablate_each_head(by_hand, read), expected, atol=1e-5, rtol=0)
    along_p = p.expand(4, -1)
    assert ablate_direction(by_hand, read, along_p, [-1]).margin_after == pytest.approx(0, abs=1e-6)
    assert ablate_direction(by_hand, read, along_p, [0]).margin_after == pytest.approx(3 / 10**0.5, abs=1e-5)
    unit = sentiment_directions(by_hand)
    torch.testing.assert_close(unit, along_p / 10**0.5)


# --- identities ---


def test_without_any_mlp_of_the_top_block_its_term_is_gone(clf: Classifier, tr: Trace) -> None:
    effect = ablate_mlp(clf, tr, -1)
    with torch.no_grad():
        logits = clf.model.score(clf.body.ln_f(tr.resid[-1, -1] - tr.mlp_out[-1, -1]))
    torch.testing.assert_close(effect.logits_after, logits, atol=ROUNDING, rtol=0)


def test_the_heads_own_direction_taken_out_everywhere_leaves_no_margin_but_the_constant(clf2: Classifier) -> None:
    read = trace(clf2, TEXT)
    unit = sentiment_directions(clf2)
    after = ablate_direction(clf2, read, unit, range(7)).margin_after
    constant = float(clf2.body.ln_f.bias @ (clf2.score[1] - clf2.score[0]))  # what ln_f's shift gives to every text
    assert after == pytest.approx(constant, abs=ROUNDING)
    assert abs(after - float(read.logits[1] - read.logits[0])) > 0.1


def test_the_stream_afterwards_has_nothing_along_the_direction_at_the_positions(clf: Classifier, tr: Trace) -> None:
    resid = ablate_direction(clf, tr, directions(), [2, 4]).resid
    along = torch.einsum("lpd,ld->lp", resid, directions())
    assert along[:, [2, 4]].abs().max() < 1e-4  # float32, of directions of length up to 30
    assert along[:, [0, 1, 3, 5, 6]].abs().min() > 1e-4
    assert resid[0, [0, 1, 3, 5, 6]].equal(tr.resid[0, [0, 1, 3, 5, 6]])


def test_a_direction_taken_out_twice_or_of_another_length_or_sign_is_the_same(clf: Classifier, tr: Trace) -> None:
    once = ablate_direction(clf, tr, directions(), [1, 4]).logits_after
    again = ablate_direction(clf, tr, -3 * directions(), [4, 1, 1, -3]).logits_after
    torch.testing.assert_close(again, once, atol=ROUNDING, rtol=0)


def test_probe_directions_turn_with_the_target_and_move_the_probe(clf2: Classifier) -> None:
    generator = torch.Generator().manual_seed(5)
    probes = LensProbes(torch.randn(4, 10, generator=generator), torch.zeros(4))
    unit = sentiment_directions(clf2, probes)
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(sentiment_directions(clf2, probes, target="negative", other="positive"), -unit)
    torch.testing.assert_close(sentiment_directions(clf2, target=0, other=1), -sentiment_directions(clf2))
    read = trace(clf2, TEXT)
    moved = dataclasses.replace(read, resid=read.resid + unit[:, None])
    margins = [probe_lens(clf2, t, probes).margins for t in (read, moved)]
    assert (margins[1] > margins[0]).all()


def test_no_hook_is_left_also_after_an_exception(clf: Classifier, tr: Trace) -> None:
    before = hooks(clf)

    def fail(_module: object, _inputs: object) -> None:
        raise RuntimeError("on purpose")

    actions = [
        lambda: ablate_head(clf, tr, 0, 1),
        lambda: ablate_mlp(clf, tr, 1),
        lambda: ablate_direction(clf, tr, directions(), [2]),
    ]
    handle = clf.body.ln_f.register_forward_pre_hook(fail)
    for action in actions:
        with pytest.raises(RuntimeError, match="on purpose"):
            action()
    handle.remove()
    for action in [*actions, lambda: ablate_each_head(clf, tr)]:
        action()
    assert hooks(clf) == before
    assert trace(clf, TEXT).logits.equal(tr.logits)


# --- against a model in loops ---


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_heads_and_mlps_against_loops(clf: Classifier, tr: Trace, layer: int) -> None:
    each = ablate_each_head(clf, tr)
    for head in range(2):
        effect = ablate_head(clf, tr, layer, head)
        logits, _ = run(clf, tr.input_ids, without_head=(layer, head))
        torch.testing.assert_close(effect.logits_after.double(), logits, atol=ROUNDING, rtol=0)
        expected = float(logits[effect.target] - logits[effect.other])
        assert float(each[layer, head]) == pytest.approx(expected, abs=ROUNDING)
    logits, _ = run(clf, tr.input_ids, without_mlp=layer)
    torch.testing.assert_close(ablate_mlp(clf, tr, layer).logits_after.double(), logits, atol=ROUNDING, rtol=0)


def test_small_batches_give_the_same(clf: Classifier, tr: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ablate_each_head(clf, tr, target=2)
    monkeypatch.setattr(resuming, "TOKENS_AT_ONCE", 1)
    torch.testing.assert_close(ablate_each_head(clf, tr, target=2), whole, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("positions", [[0], [6], [2, 4], range(7)])
def test_directions_against_loops(clf: Classifier, tr: Trace, positions: list[int]) -> None:
    effect = ablate_direction(clf, tr, directions(), positions)
    logits, _ = run(clf, tr.input_ids, taken_out=(directions(), list(positions)))
    torch.testing.assert_close(effect.logits_after.double(), logits, atol=ROUNDING, rtol=0)


# --- punctuation, names, failures ---


def test_punctuation_is_found_by_token(clf: Classifier, tr: Trace) -> None:
    assert punctuation_positions(tr) == (2,)
    read = trace(clf, "a, b.c ... me!")
    marks = [read.tokens[i] for i in punctuation_positions(read, last=True)]
    assert "".join(marks).replace(" ", "") == ",....!"
    assert punctuation_positions(read, last=True)[:-1] == punctuation_positions(read)
    assert [read.tokens[i] for i in punctuation_positions(read, marks=",")] == [","]
    assert punctuation_positions(trace(clf, "good film")) == ()


def test_names_count_from_1(clf: Classifier, tr: Trace) -> None:
    assert ablate_head(clf, tr, 0, 1).name == "head 2 of layer 1 set to zero"
    assert ablate_mlp(clf, tr, -1).name == "MLP of layer 3 set to zero"
    assert ablate_direction(clf, tr, directions(), [0]).name == "direction taken out at 1 token"
    assert ablate_direction(clf, tr, directions(), [0, 5]).name == "direction taken out at 2 tokens"


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (3, 0, "There is no layer 3; the layers are 0 to 2."),
        (0, 2, "There is no head 2; the heads are 0 to 1."),
        (0, None, "A head is given by a whole number, not None."),
    ],
)
def test_heads_that_do_not_exist(clf: Classifier, tr: Trace, layer: int, head: int, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        ablate_head(clf, tr, layer, head)
    assert str(raised.value) == message


def test_an_mlp_that_does_not_exist(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match="There is no layer -4; the layers are 0 to 2"):
        ablate_mlp(clf, tr, -4)


@pytest.mark.parametrize(
    ("given", "positions", "message"),
    [
        (directions(), [], "There is no position to ablate the direction at; choose one or more tokens."),
        (directions(), [7], "There is no token 7; the tokens are 0 to 6."),
        (directions()[0], [0], "the shape [4, 10], not [10]"),
        (torch.zeros(4, 10), [0], "A direction of length zero (or not a number) points nowhere; give one per layer."),
        (torch.full((4, 10), torch.nan), [0], "A direction of length zero (or not a number)"),
    ],
)
def test_directions_that_cannot_be(clf: Classifier, tr: Trace, given: Tensor, positions: list, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        ablate_direction(clf, tr, given, positions)
    assert message in str(raised.value)


def test_sentiment_directions_that_cannot_be(clf: Classifier, clf2: Classifier) -> None:
    probes = LensProbes(torch.ones(4, 10), torch.zeros(4))
    with pytest.raises(
        OptionError, match=r"These probes are not of .*; load its own with load_lens_probes, or give none"
    ):
        sentiment_directions(clf, probes)  # five classes
    with pytest.raises(OptionError, match="These probes are not of"):
        sentiment_directions(clf2, LensProbes(torch.ones(4, 9), torch.zeros(4)))
    with pytest.raises(OptionError, match="Give two classes; 'negative' against itself has no direction"):
        sentiment_directions(clf2, target=0)
    with pytest.raises(OptionError, match="There is no class 'good'"):
        sentiment_directions(clf2, target="good")
