"""Taking tokens away in an order, against numbers on paper, an independent run of each text with holes, and cut attention."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from conftest import TEXT
from loops import ROUNDING, copying, run
from torch import Tensor, nn

from gpt2cls_core import Classifier, Faithfulness, OptionError, Trace, cut_attention, faithfulness, trace
from gpt2cls_core.faithfulness import REMOVALS, faithfulness_of_orders, logits_without, order_of
from gpt2cls_core.soft_prompt import PromptedEmbedding

faithfulness_module = importlib.import_module("gpt2cls_core.faithfulness")  # the package has a function of that name
BOTH = pytest.mark.parametrize("removal", REMOVALS)
SCORES = torch.tensor([0.3, -1, 2, 0.5, 0, 0.4, 1])  # of TEXT's 7 tokens


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def probability_without(clf: Classifier, read: Trace, removed: Sequence[int], removal: str) -> float:
    """Of the predicted class, from a model in float64 loops that forbids attention or is given other ids."""
    n, ids = len(read.tokens), read.input_ids.clone()
    forbidden = {}
    if removal == "replace":
        ids[list(removed)] = 0  # the tiny tokenizer's end-of-text token
    else:
        pairs = [(query, key) for key in removed for query in range(key + 1, n)]
        forbidden = {layer: pairs for layer in range(clf.n_layer)}
    logits, _ = run(clf, ids, forbidden=forbidden)
    return float(logits.softmax(-1)[read.logits.argmax()])


def prompted(clf2: Classifier) -> Classifier:
    """The two-class model behind a soft prompt of two virtual tokens."""
    model = copy.deepcopy(clf2.model)
    rows = torch.randn(2, 10, generator=torch.Generator().manual_seed(3))
    model.transformer.wte = PromptedEmbedding(model.transformer.wte, nn.Parameter(rows, requires_grad=False))
    return dataclasses.replace(clf2, model=model)


# --- by hand ---


def on_paper(clf2: Classifier, removal: str) -> Faithfulness:
    """Of b, a, d, " not", " film", where " not" is p, all others are q, and the last vector is (9 q + p) / 5."""
    by_hand = copying(clf2)
    scores = torch.tensor([0.0, 0.0, 0.0, 1, -1])
    return faithfulness(
        by_hand, trace(by_hand, "bad not film"), scores, removal=removal, fractions=[0.5, 0.25], points=8
    )


def test_cutting_on_paper(clf2: Classifier) -> None:
    result = on_paper(clf2, "cut")
    assert (result.order, result.counts, result.target) == ((3, 0, 1, 2), (0, 1, 2, 3, 4), 1)
    clean = sigmoid(82**-0.5)
    # Without " not" nothing lies along p, whatever else is cut. With it and none, one, … of the q: the last vector is
    # q + (q + p) / 2 = (3 q + p) / 2, q + (2 q + p) / 3 = (5 q + p) / 3, (7 q + p) / 4, (9 q + p) / 5.
    kept = [0.5, *(sigmoid(square**-0.5) for square in (10, 26, 50)), clean]
    tolerance = {"abs": 1e-5}  # ln_f's ε
    assert result.deletion.tolist() == pytest.approx([clean, 0.5, 0.5, 0.5, 0.5], **tolerance)
    assert result.insertion.tolist() == pytest.approx(kept, **tolerance)
    assert result.comprehensiveness == pytest.approx(clean - 0.5, **tolerance)  # of 2 tokens and of 1
    assert result.sufficiency == pytest.approx(clean - (kept[2] + kept[1]) / 2, **tolerance)
    assert result.deletion_area == pytest.approx((clean / 2 + 1.75) / 4, **tolerance)
    assert result.insertion_area == pytest.approx((0.25 + sum(kept[1:4]) + clean / 2) / 4, **tolerance)


def test_replacing_on_paper(clf2: Classifier) -> None:
    result = on_paper(clf2, "replace")  # by the end-of-text token, which is a q as well
    assert result.order == (3, 0, 1, 2, 4), "the last token can be replaced"
    clean = sigmoid(82**-0.5)
    assert result.counts == (0, 1, 2, 3, 4, 5)
    assert result.deletion.tolist() == pytest.approx([clean, *[0.5] * 5], abs=1e-5)
    assert result.insertion.tolist() == pytest.approx([0.5, *[clean] * 5], abs=1e-5)
    assert (result.comprehensiveness, result.sufficiency) == pytest.approx((clean - 0.5, 0), abs=1e-5)
    assert result.shares.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_fractions_and_points_are_rounded_up_to_tokens(clf: Classifier, tr: Trace) -> None:
    result = faithfulness(clf, tr, SCORES, fractions=(0.01, 0.3, 0.5), points=2)
    assert result.counts == (0, 1, 3, 4, 7)  # of 7: 0.07 and 2.1 and 3.5; half and all
    assert faithfulness(clf, tr, SCORES, fractions=(1 / 7, 3 / 7), points=1).counts == (0, 1, 3, 7)
    assert len(faithfulness(clf, tr, SCORES).counts) == 8, "a short text has a point per token"


def test_of_equal_scores_the_earlier_is_first() -> None:
    assert order_of(torch.tensor([1.0, 2, 1, 2, 0]), [0, 1, 2, 3]) == [1, 3, 0, 2]


# --- identities ---


@BOTH
def test_curves_begin_and_end_where_they_must(clf: Classifier, tr: Trace, removal: str) -> None:
    result = faithfulness(clf, tr, SCORES, removal=removal)
    clean, target = float(tr.probabilities.max()), int(tr.logits.argmax())
    assert (result.removal, result.target) == (removal, target)
    assert float(result.deletion[0]) == pytest.approx(clean, abs=ROUNDING)
    assert result.deletion[0] == result.insertion[-1]
    assert result.deletion[-1] == result.insertion[0]
    everything = faithfulness(clf, tr, SCORES, removal=removal, fractions=[1.0])
    assert everything.sufficiency == 0
    assert everything.comprehensiveness == pytest.approx(clean - float(result.deletion[-1]), abs=ROUNDING)


@BOTH
def test_the_reverse_order_swaps_the_curves(clf: Classifier, tr: Trace, removal: str) -> None:
    there, back = (faithfulness(clf, tr, sign * SCORES, removal=removal) for sign in (1, -1))
    assert there.order == back.order[::-1]
    assert there.deletion.equal(back.insertion.flip(0))
    assert there.deletion_area == pytest.approx(back.insertion_area, abs=1e-6)  # summed in another order


@BOTH
def test_only_the_order_of_scores_counts(clf: Classifier, tr: Trace, removal: str) -> None:
    results = [faithfulness(clf, tr, scores, removal=removal) for scores in (SCORES, SCORES.exp() * 1e3)]
    assert results[0].order == results[1].order
    assert results[0].deletion.equal(results[1].deletion)


def test_the_last_token_is_never_cut(clf: Classifier, tr: Trace) -> None:
    high, low = (torch.cat([SCORES[:6], torch.tensor([last])]) for last in (9.0, -9))
    results = [faithfulness(clf, tr, scores, removal="cut") for scores in (high, low)]
    assert [sorted(result.order) for result in results] == [list(range(6))] * 2
    assert results[0].insertion.equal(results[1].insertion)
    assert [faithfulness(clf, tr, scores).order.index(6) for scores in (high, low)] == [0, 6]
    last, none = torch.zeros(2, 7, dtype=torch.bool)
    last[6] = True
    assert logits_without(clf, tr, torch.stack([last, none]), removal="cut").diff(dim=0).eq(0).all()


@BOTH
def test_virtual_tokens_are_never_removed(clf2: Classifier, removal: str) -> None:
    behind = prompted(clf2)
    read = trace(behind, TEXT)
    scores = torch.cat([torch.tensor([9.0, 8.0]), SCORES])
    result = faithfulness(behind, read, scores, removal=removal)
    assert sorted(result.order) == list(range(2, 9 if removal == "replace" else 8))
    everything = torch.ones(1, 9, dtype=torch.bool)
    text = everything.clone()
    text[:, :2] = False
    both = [logits_without(behind, read, removed, removal=removal) for removed in (everything, text)]
    assert both[0].equal(both[1])
    # They are still read: by another prompt the text without its tokens is judged otherwise.
    other = copy.deepcopy(behind.model)
    other.transformer.wte.prompt.data *= -1
    elsewhere = logits_without(dataclasses.replace(behind, model=other), read, text, removal=removal)
    assert (elsewhere - both[1]).abs().max() > 1e-3


# --- parity ---


@BOTH
def test_every_point_is_a_run_of_a_text_with_holes(clf: Classifier, tr: Trace, removal: str) -> None:
    result = faithfulness(clf, tr, SCORES, removal=removal, fractions=(0.2, 0.5))
    order = sorted(range(7 if removal == "replace" else 6), key=lambda i: -float(SCORES[i]))
    assert list(result.order) == order
    without = [probability_without(clf, tr, order[:count], removal) for count in result.counts]
    alone = [probability_without(clf, tr, order[count:], removal) for count in result.counts]
    assert result.deletion.tolist() == pytest.approx(without, abs=ROUNDING)
    assert result.insertion.tolist() == pytest.approx(alone, abs=ROUNDING)
    used = [math.ceil(0.2 * len(order)), math.ceil(0.5 * len(order))]
    clean = probability_without(clf, tr, [], removal)
    removed = [clean - probability_without(clf, tr, order[:count], removal) for count in used]
    kept = [clean - probability_without(clf, tr, order[count:], removal) for count in used]
    assert result.comprehensiveness == pytest.approx(sum(removed) / 2, abs=ROUNDING)
    assert result.sufficiency == pytest.approx(sum(kept) / 2, abs=ROUNDING)


def test_cutting_is_attention_knockout_of_every_set_of_tokens(clf: Classifier, tr: Trace) -> None:
    sets = [list(chosen) for size in range(1, 7) for chosen in itertools.combinations(range(6), size)]
    removed = torch.zeros(len(sets), 7, dtype=torch.bool)
    for row, chosen in zip(removed, sets, strict=True):
        row[chosen] = True
    logits = logits_without(clf, tr, removed, removal="cut")
    expected = torch.stack([cut_attention(clf, tr, chosen).logits_after for chosen in sets])
    torch.testing.assert_close(logits, expected, atol=ROUNDING, rtol=0)


@BOTH
def test_orders_together_are_orders_one_by_one(clf: Classifier, tr: Trace, removal: str) -> None:
    n = 7 if removal == "replace" else 6
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(n, generator=generator).tolist() for _ in range(4)]
    together = faithfulness_of_orders(clf, tr, orders, removal=removal)
    for order, result in zip(orders, together, strict=True):
        scores = torch.zeros(7)
        scores[order] = torch.arange(n, 0, -1).float()
        single = faithfulness(clf, tr, scores, removal=removal)
        assert (single.order, single.counts) == (tuple(order), result.counts)
        assert result.deletion.tolist() == pytest.approx(single.deletion.tolist(), abs=ROUNDING)
        assert result.insertion_area == pytest.approx(single.insertion_area, abs=ROUNDING)


# --- failure ---


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (SCORES[:6], {}, r"The text has 7 tokens; give one score for each, not \[6\]\."),
        (SCORES[None], {}, r"give one score for each, not \[1, 7\]"),
        (SCORES.clone().index_fill(0, torch.tensor(2), math.nan), {}, r"The score of token 2 is nan, which has no place"),
        (SCORES.clone().index_fill(0, torch.tensor(0), math.inf), {}, r"The score of token 0 is inf"),
        (SCORES, {"removal": "delete"}, r"There is no removal 'delete'; choose one of replace, cut\."),
        (SCORES, {"fractions": (0.5, 0)}, r"Fractions must be above 0 and at most 1, .* not \(0\.5, 0\)\."),
        (SCORES, {"fractions": (1.01,)}, r"Fractions must be above 0 and at most 1"),
        (SCORES, {"fractions": (math.nan,)}, r"Fractions must be above 0 and at most 1"),
        (SCORES, {"fractions": ()}, r"one or more of them, not \(\)\."),
        (SCORES, {"points": 0}, r"points must be a whole number from 1 up, not 0\."),
    ],
)  # fmt: skip
def test_what_cannot_be_measured(clf: Classifier, tr: Trace, scores: Tensor, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        faithfulness(clf, tr, scores, **options)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 3, 4, 5, 5], [1, 2, 3, 4, 5, 6, 7]])
def test_an_order_names_every_position_once(clf: Classifier, tr: Trace, order: list[int]) -> None:
    with pytest.raises(OptionError, match="An order must name each of the positions 0 to 6 once"):
        faithfulness_of_orders(clf, tr, [order])


def test_a_single_token_can_be_replaced_and_not_cut(clf: Classifier) -> None:
    read = trace(clf, "good")
    assert faithfulness(clf, read, torch.ones(1)).counts == (0, 1)
    with pytest.raises(
        OptionError, match=r"one token only, and the last can't be cut\. Type a longer one, or replace it"
    ):
        faithfulness(clf, read, torch.ones(1), removal="cut")


def test_without_an_end_of_text_token_there_is_cutting_alone(clf: Classifier, tr: Trace) -> None:
    tokenizer = copy.deepcopy(clf.tokenizer)
    tokenizer.eos_token = None
    bare = dataclasses.replace(clf, tokenizer=tokenizer)
    with pytest.raises(OptionError, match='no end-of-text token to put in a token\'s place; choose the removal "cut"'):
        faithfulness(bare, tr, SCORES)
    assert faithfulness(bare, tr, SCORES, removal="cut").counts[-1] == 6


# --- what is known already ---


@BOTH
def test_what_is_known_is_not_run_again_and_changes_nothing(clf: Classifier, tr: Trace, removal: str, monkeypatch):
    sets = torch.tensor([[1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1, 0]], dtype=torch.bool)
    ran: list[int] = []
    variants = faithfulness_module.variant_logits
    monkeypatch.setattr(
        faithfulness_module,
        "variant_logits",
        lambda clf, ids, *more: (ran.append(len(ids)), variants(clf, ids, *more))[1],
    )
    known: dict[bytes, Tensor] = {}
    first = logits_without(clf, tr, sets[:2], removal=removal, known=known)
    both = logits_without(clf, tr, torch.cat([sets, sets]), removal=removal, known=known)
    assert ran == [2, 1]
    assert len(known) == 3
    torch.testing.assert_close(both[:2], first, atol=0, rtol=0)  # the very same numbers
    torch.testing.assert_close(
        both, logits_without(clf, tr, torch.cat([sets, sets]), removal=removal), atol=ROUNDING, rtol=0
    )
