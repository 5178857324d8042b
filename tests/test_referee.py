"""Methods on trial: their scores against other routes to them, and the contest against orders tried one by one."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from conftest import TEXT
from loops import ROUNDING, copying
from torch import Tensor, nn

from gpt2cls_core import (
    Classifier,
    Contest,
    Faithfulness,
    OptionError,
    Trace,
    attention_rollout,
    cut_each,
    faithfulness,
    gradient_weighted_rollout,
    integrated_gradients,
    margin_ledger,
    put_on_trial,
    referee,
    token_scores,
    trace,
)
from gpt2cls_core.attribution import margin_of_embeddings
from gpt2cls_core.faithfulness import REMOVALS
from gpt2cls_core.referee import MEASURES, METHODS, SIGNED, beats
from gpt2cls_core.soft_prompt import PromptedEmbedding

BOTH = pytest.mark.parametrize("removal", REMOVALS)
FAST = ("rollout", "last-attention", "ledger", "occlusion")


@pytest.fixture(scope="module")
def contest(clf: Classifier, tr: Trace) -> Contest:
    return referee(clf, tr, draws=6, seed=3)


def margin(read: Trace, logits: Tensor) -> Tensor:
    """Of the predicted class against its strongest rival in the text as it is."""
    best, second = read.logits.topk(2).indices
    return logits[..., best] - logits[..., second]


def made(values: dict[str, float], drawn: list[float]) -> Contest:
    """A contest whose comprehensivenesses are given; the other measures are their negatives."""
    result = faithfulness_with(0.0)
    results = {name: faithfulness_with(value) for name, value in values.items()}
    both = {name: torch.tensor(drawn) if high else -torch.tensor(drawn) for name, high in MEASURES.items()}
    curves = result.deletion, result.insertion
    bands = tuple(torch.stack([curve, curve]) for curve in curves)
    return Contest("cut", "a", ("x",), {}, results, both, curves, bands, torch.eye(len(values)))


def faithfulness_with(value: float) -> Faithfulness:
    empty = torch.zeros(1)
    return Faithfulness("cut", 0, (1.0,), (0,), (0, 1), value, -value, empty, empty, -value, value)


# --- by hand ---


def test_scores_on_paper(clf2: Classifier) -> None:
    by_hand = copying(clf2)
    read = trace(by_hand, "bad not film")  # q q q p q; the last vector is (9 q + p) / 5, and the head reads along p
    clean = 82**-0.5
    # Without one q, cut: (7 q + p) / 4. Without p nothing lies along p. Replaced by the end-of-text token, a q stays a q.
    cut = token_scores(by_hand, read, "occlusion", removal="cut").tolist()
    assert cut == pytest.approx([clean - 50**-0.5] * 3 + [clean, 0], abs=1e-5)  # ln_f's ε
    assert token_scores(by_hand, read, "occlusion").tolist() == pytest.approx([0, 0, 0, clean, 0], abs=1e-5)
    # Attention spreads evenly over the five; the first block alone copies, p / 5 of standard deviation sqrt(82) / 5.
    assert token_scores(by_hand, read, "last-attention").tolist() == pytest.approx([0.2] * 5, abs=1e-6)
    assert token_scores(by_hand, read, "ledger").tolist() == pytest.approx([0, 0, 0, clean, 0], abs=1e-5)


def test_ranking_and_random_on_paper() -> None:
    contest = made({"a": 0.2, "b": 0.5, "c": 0.4}, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert all(contest.ranking(measure) == ["b", "c", "a"] for measure in MEASURES)
    # Five draws: the 95 % quantile lies 0.8 of the way from the fourth to the fifth, at 0.48, the 5 % quantile at 0.12.
    assert contest.random["comprehensiveness"] == pytest.approx((0.3, 0.12, 0.48))
    assert contest.random["sufficiency"] == pytest.approx((-0.3, -0.48, -0.12))
    assert [[contest.beats_random(name, measure) for name in "abc"] for measure in MEASURES] == [
        [False, True, False]
    ] * 4
    assert contest.n_draws == 5
    assert beats(0.49, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]), "insertion_area")
    assert not beats(0.47, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]), "insertion_area")
    assert not beats(0.5, torch.full((5,), 0.5), "deletion_area"), "as good as random is not better"


def test_rank_correlation_on_paper(clf: Classifier, tr: Trace) -> None:
    scores = {
        "a": torch.tensor([1.0, 2, 3, 4, 5, 6, 7]),
        "b": torch.tensor([1.0, 4, 9, 16, 25, 36, 49]),  # the same order
        "c": torch.tensor([7.0, 6, 5, 4, 3, 2, 1]),
        "d": torch.tensor([2.0, 1, 3, 4, 5, 6, 7]),  # 1 − 6 · (1 + 1) / (7 · 48)
        "e": torch.tensor([1.0, 1, 1, 1, 1, 1, 2]),  # ranks 3.5 six times, and 7: 10.5 / sqrt(28 · 10.5)
        "f": torch.zeros(7),
    }
    agreement = put_on_trial(clf, tr, scores, draws=1).agreement
    assert agreement[0, :5].tolist() == pytest.approx([1, 1, -1, 1 - 2 / 56, 10.5 / (28 * 10.5) ** 0.5])
    assert agreement[5].isnan().all(), "where all are equal there is no order to compare"
    cut = put_on_trial(clf, tr, {"a": scores["a"], "e": scores["e"]}, removal="cut", draws=1).agreement
    assert cut[1].isnan().all(), "the last token can't be cut, and does not count"


# --- identities ---


def test_methods_have_names_and_signs() -> None:
    assert set(METHODS) > SIGNED
    assert len(set(METHODS.values())) == len(METHODS) == 10


def test_scores_speak_for_the_predicted_class(clf2: Classifier) -> None:
    model = copy.deepcopy(clf2.model)
    model.score.weight *= -1
    for judge, label in ((clf2, "positive"), (dataclasses.replace(clf2, model=model), "negative")):
        read = trace(judge, TEXT)
        assert read.label == label
        result = integrated_gradients(judge, read.encoding, target=label)
        assert result.margin_input > 0
        assert token_scores(judge, read, "ig-eos").equal(result.scores)
        ledger = margin_ledger(judge, read, target=label)
        assert token_scores(judge, read, "ledger").tolist() == pytest.approx(ledger.written_by_token.tolist())


def test_a_contest_holds_what_each_order_brings(clf: Classifier, tr: Trace, contest: Contest) -> None:
    assert (contest.removal, contest.label, contest.tokens, contest.n_draws) == ("replace", tr.label, tr.tokens, 6)
    assert list(contest.scores) == list(contest.results) == list(METHODS)
    for method, scores in contest.scores.items():
        assert scores.equal(token_scores(clf, tr, method))
        single = faithfulness(clf, tr, scores)
        for measure in MEASURES:
            expected = getattr(single, measure)
            assert getattr(contest.results[method], measure) == pytest.approx(expected, abs=ROUNDING)
    torch.testing.assert_close(contest.agreement, contest.agreement.T)
    assert contest.agreement.diagonal().tolist() == pytest.approx([1] * 10)


@BOTH
def test_random_orders_are_orders_like_others(clf: Classifier, tr: Trace, removal: str) -> None:
    scores = {"x": torch.arange(7.0)}
    trial = put_on_trial(clf, tr, scores, removal=removal, draws=3, seed=5)
    n, generator = 7 if removal == "replace" else 6, torch.Generator().manual_seed(5)
    singles = []
    for _ in range(3):
        order = torch.randperm(n, generator=generator)
        drawn = torch.zeros(7)
        drawn[order] = torch.arange(n, 0, -1).float()
        singles.append(faithfulness(clf, tr, drawn, removal=removal))
    for measure in MEASURES:
        expected = [getattr(single, measure) for single in singles]
        assert trial.drawn[measure].tolist() == pytest.approx(expected, abs=ROUNDING)
    means = [torch.stack([getattr(s, curve) for s in singles]).mean(0) for curve in ("deletion", "insertion")]
    for found, expected in zip(trial.random_curves, means, strict=True):
        torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)
    for band, curve in zip(trial.random_bands, ("deletion", "insertion"), strict=True):
        values = np.stack([getattr(single, curve) for single in singles])
        np.testing.assert_allclose(band, np.quantile(values, [0.05, 0.95], axis=0), atol=ROUNDING, rtol=0)


def test_the_seed_decides_the_draws(clf: Classifier, tr: Trace) -> None:
    drawn = [
        put_on_trial(clf, tr, {"x": torch.arange(7.0)}, draws=4, seed=seed).drawn["deletion_area"] for seed in (0, 0, 1)
    ]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])


def test_a_soft_prompt_is_scored_and_not_on_trial(clf2: Classifier) -> None:
    model = copy.deepcopy(clf2.model)
    rows = torch.randn(2, 10, generator=torch.Generator().manual_seed(3))
    model.transformer.wte = PromptedEmbedding(model.transformer.wte, nn.Parameter(rows, requires_grad=False))
    behind = dataclasses.replace(clf2, model=model)
    read = trace(behind, TEXT)
    for removal, last in (("replace", 9), ("cut", 8)):
        trial = referee(behind, read, removal=removal, draws=2, methods=("gradient-x-input", *FAST))
        assert all(len(scores) == 9 for scores in trial.scores.values())
        assert all(sorted(result.order) == list(range(2, last)) for result in trial.results.values())
        assert trial.scores["occlusion"][:2].eq(0).all()


# --- parity ---


def test_gradient_times_input_is_what_scaling_an_embedding_does(clf: Classifier, tr: Trace) -> None:
    best, second = tr.logits.topk(2).indices.tolist()
    embeddings, step, scores = clf.body.wte.weight[tr.input_ids].detach(), 1e-2, []
    for position in range(7):
        ends = []
        for scale in (1 + step, 1 - step):
            scaled = embeddings.clone()
            scaled[position] *= scale
            ends.append(float(margin_of_embeddings(clf, scaled[None], best, second)))
        scores.append((ends[0] - ends[1]) / (2 * step))
    found = token_scores(clf, tr, "gradient-x-input").tolist()
    assert found == pytest.approx(scores, abs=2e-3)  # of a difference of float32 margins over 0.02, and its third order


def test_occlusion_is_a_run_without_each_token(clf: Classifier, tr: Trace) -> None:
    ids = tr.input_ids.repeat(7, 1)
    ids.fill_diagonal_(0)  # the tiny tokenizer's end-of-text token
    with torch.no_grad():
        logits = clf.model.score(clf.body(input_ids=ids).last_hidden_state[:, -1])
    expected = margin(tr, tr.logits) - margin(tr, logits)
    torch.testing.assert_close(token_scores(clf, tr, "occlusion"), expected, atol=ROUNDING, rtol=0)
    cut = token_scores(clf, tr, "occlusion", removal="cut")
    expected = margin(tr, tr.logits) - cut_each(clf, tr, target=tr.label)
    torch.testing.assert_close(cut, expected, atol=ROUNDING, rtol=0)


def test_attention_and_rollout_are_their_last_rows(clf: Classifier, tr: Trace) -> None:
    rollout, relevance = attention_rollout(tr), gradient_weighted_rollout(clf, tr, target=tr.label).relevance[-1]
    assert token_scores(clf, tr, "rollout").equal(rollout.weights[-1])
    assert token_scores(clf, tr, "rollout-beyond-null").equal((rollout.weights - rollout.null)[-1])
    found = token_scores(clf, tr, "rollout-gradient")
    assert found[:-1].equal(relevance[:-1])
    assert float(found[-1]) == pytest.approx(float(relevance[-1]) - 1, abs=1e-6)
    assert float(found[-1]) >= 0, "what the last token has beyond the 1 of staying in place"
    last = torch.stack([tr.attention[2, head, 6] for head in range(2)]).mean(0)
    assert token_scores(clf, tr, "last-attention").equal(last)


# --- failure ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("rollout", "lime")}, r"There is no method 'lime'; choose of ig-eos, .*, occlusion\."),
        ({"methods": ()}, r"There is nothing to put on trial; choose one method or more\."),
        ({"removal": "delete"}, r"There is no removal 'delete'; choose one of replace, cut\."),
        ({"draws": 0}, r"draws must be a whole number from 1 up, not 0\."),
        ({"draws": 1.5}, r"draws must be a whole number from 1 up, not 1\.5\."),
        ({"points": -1, "methods": ("rollout",)}, r"points must be a whole number from 1 up, not -1\."),
    ],
)
def test_no_such_trial(clf: Classifier, tr: Trace, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        referee(clf, tr, **options)


def test_foreign_scores_are_checked(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match="give one score for each"):
        put_on_trial(clf, tr, {"x": torch.ones(3)})
    with pytest.raises(OptionError, match="The score of token 1 is nan"):
        put_on_trial(clf, tr, {"x": torch.tensor([0, torch.nan, 0, 0, 0, 0, 0])})
    with pytest.raises(OptionError, match=r"There is no method 'x'; choose of"):
        token_scores(clf, tr, "x")
    with pytest.raises(OptionError, match="There is no removal 'x'"):
        token_scores(clf, tr, "occlusion", removal="x")


def test_no_such_measure_and_no_such_contestant(contest: Contest) -> None:
    with pytest.raises(OptionError, match=r"There is no measure 'truth'; choose of comprehensiveness, sufficiency"):
        contest.ranking("truth")
    with pytest.raises(OptionError, match=r"There is no measure 'truth'"):
        contest.beats_random("rollout", "truth")
    with pytest.raises(OptionError, match=r"'lime' was not on trial; there were ig-eos"):
        contest.beats_random("lime")


def test_a_single_token_can_be_replaced_and_not_cut(clf: Classifier) -> None:
    read = trace(clf, "good")
    trial = referee(clf, read, methods=FAST, draws=2)
    assert trial.agreement.isnan().all()
    assert not trial.beats_random("rollout")
    with pytest.raises(OptionError, match="the last can't be cut"):
        referee(clf, read, removal="cut")
