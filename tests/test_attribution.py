"""Integrated gradients: complete, and the same by every route."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from conftest import TEXT
from torch import Tensor

from gpt2cls_core import (
    Attribution,
    Classifier,
    ModelError,
    OptionError,
    TextError,
    Word,
    agreement,
    integrated_gradients,
    predict,
)
from gpt2cls_core.attribution import BASELINES, baseline_embedding
from gpt2cls_core.path_gradients import PRECISIONS, Path, pushes_at
from gpt2cls_core.quadrature import spread_clenshaw_curtis

ENOUGH = 64  # Gauss–Legendre points after which the tiny model's integral stands still in float32


def altered(clf: Classifier) -> Classifier:
    """A copy whose weights a test may change."""
    return dataclasses.replace(clf, model=copy.deepcopy(clf.model))


def without_blocks(clf: Classifier) -> Classifier:
    """A copy whose blocks write nothing, so that no position hears of another."""
    silent = altered(clf)
    for block in silent.body.h:
        for layer in (block.attn.c_proj, block.mlp.c_proj):
            layer.weight.zero_()
            layer.bias.zero_()
    return silent


def made(scores: Sequence[float], **changes: float) -> Attribution:
    """An attribution whose numbers are given."""
    words = tuple(Word(str(i), i, i + 1) for i in range(len(scores)))
    ends = {"margin_input": 3.0, "margin_baseline": 1.0, "convergence_delta": 0.0, **changes}
    return Attribution(tuple(map(str, scores)), words, ("a", "b"), torch.tensor(scores), 1, 0, "eos", **ends, n_steps=1)


def the_path(clf: Classifier, result: Attribution) -> Path:
    """The path that was walked for a result of TEXT."""
    end = clf.body.wte(clf.encode(TEXT).input_ids)
    return Path(clf, baseline_embedding(clf, len(end), result.baseline), end, result.target, result.other)


# --- by hand ---


def test_a_linear_model_of_one_dimension_worked_out_by_hand(clf2: Classifier) -> None:
    linear = without_blocks(clf2)
    linear.body.ln_f = torch.nn.Identity()
    good, film, eos = (linear.tokenizer.get_vocab()[token] for token in ("good", "Ġfilm", "<|endoftext|>"))
    linear.body.wte.weight[[good, film, eos]] = torch.tensor([[7.0], [3.0], [1.0]]) * torch.eye(10)[0]
    linear.model.score.weight.copy_(torch.tensor([[-0.5], [1.5]]) * torch.eye(10)[0])  # their difference is 2
    result = integrated_gradients(linear, "good film", n_steps=1)
    assert result.scores.tolist() == pytest.approx([0.0, 4.0], abs=1e-6)  # (3 − 1) · 2, and the first word goes unheard
    assert result.margin_input - result.margin_baseline == pytest.approx(4.0, abs=1e-5)


def test_without_attention_all_credit_is_the_last_tokens(clf2: Classifier) -> None:
    result = integrated_gradients(without_blocks(clf2), TEXT, n_steps=ENOUGH)
    assert result.scores[:-1].tolist() == [0.0] * 6
    change = result.margin_input - result.margin_baseline
    assert float(result.scores[-1]) == pytest.approx(change, abs=1e-4)  # quadrature at 64 points
    assert abs(change) > 0.1


def test_relative_delta_and_convergence_worked_out_by_hand() -> None:
    assert made([1.0], convergence_delta=-0.5).relative_delta == 0.25
    assert made([1.0], margin_baseline=3.0).relative_delta == math.inf
    assert made([1.0], convergence_delta=0.019).converged
    assert not made([1.0], convergence_delta=-0.021).converged
    assert made([1.0], margin_baseline=3.0, convergence_delta=9e-5).converged, "below float32 noise"
    assert not made([1.0], margin_baseline=3.0, convergence_delta=2e-4).converged


def test_agreement_worked_out_by_hand() -> None:
    matrix = agreement([made([-1.0, 0.0, 1.0]), made([-10.0, 10.0, 0.0]), made([3.0, 2.0, 1.0])])
    torch.testing.assert_close(
        matrix, torch.tensor([[1.0, 0.5, -1.0], [0.5, 1.0, -0.5], [-1.0, -0.5, 1.0]], dtype=torch.float64)
    )


def test_agreement_has_two_axes_even_for_one_attribution() -> None:
    torch.testing.assert_close(agreement([made([1.0, 5.0])]), torch.ones(1, 1, dtype=torch.float64))


@pytest.mark.parametrize("scores", [[2.0], [2.0, 2.0]], ids=["one word", "no variation"])
def test_agreement_of_nothing_to_compare_is_nan_and_silent(scores: list[float]) -> None:
    matrix = agreement([made(scores), made(scores)])
    assert matrix.shape == (2, 2)
    assert matrix.isnan().all()


@pytest.mark.parametrize("baseline", BASELINES)
def test_baseline_embeddings_worked_out_by_hand(clf: Classifier, baseline: str) -> None:
    wte = clf.body.wte.weight
    expected = {"eos": wte[0], "zero": torch.zeros(10), "mean": sum(wte) / len(wte)}[baseline]
    start = baseline_embedding(clf, 7, baseline)
    assert start.shape == (7, 10)
    torch.testing.assert_close(start, expected.repeat(7, 1))  # default float32 tolerance: the mean is summed in a loop


# --- identities ---


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("target", [None, 0, "LABEL_2"])
def test_completeness(clf: Classifier, baseline: str, target: int | str | None) -> None:
    result = integrated_gradients(clf, TEXT, target=target, baseline=baseline, n_steps=ENOUGH)
    total = math.fsum(result.scores.tolist())
    assert result.scores.shape == (7,)
    assert total == pytest.approx(result.margin_input - result.margin_baseline, abs=2e-3)  # quadrature at 64 points
    assert result.convergence_delta == pytest.approx(total - (result.margin_input - result.margin_baseline), abs=1e-6)
    assert result.scores.abs().max() > 0.1, "zeros would be complete too"


def test_margin_of_the_input_is_the_verdicts(clf2: Classifier) -> None:
    assert integrated_gradients(clf2, TEXT, n_steps=1).margin_input == pytest.approx(
        predict(clf2, TEXT).margin, abs=1e-5
    )  # float32, summed in another order


def test_two_classes_speak_for_class_one_and_the_other_class_mirrors_it(clf2: Classifier) -> None:
    positive = integrated_gradients(clf2, TEXT, n_steps=8)
    negative = integrated_gradients(clf2, TEXT, target="negative", n_steps=8)
    assert (positive.target, positive.other, negative.target, negative.other) == (1, 0, 0, 1)
    torch.testing.assert_close(negative.scores, -positive.scores, atol=1e-5, rtol=1e-5)  # float32


def test_attributing_the_baseline_itself_gives_nothing(clf: Classifier) -> None:
    encoding = dataclasses.replace(clf.encode("good film"), input_ids=torch.tensor([0, 0]))
    result = integrated_gradients(clf, encoding)
    assert result.scores.tolist() == [0.0, 0.0]
    assert result.margin_input == pytest.approx(result.margin_baseline)
    assert result.converged


def test_word_scores_are_the_sums_of_their_tokens(clf: Classifier) -> None:
    result = integrated_gradients(clf, "bad film", n_steps=8)
    assert result.tokens == ("b", "a", "d", " film")
    bad = sum(result.scores[:3].tolist())
    assert result.word_scores.tolist() == pytest.approx([bad, float(result.scores[3])], abs=1e-6)  # float32


def test_the_result_is_detached_and_the_model_is_left_alone(clf: Classifier) -> None:
    result = integrated_gradients(clf, TEXT, n_steps=2)
    assert not result.scores.requires_grad
    assert all(p.grad is None and not p.requires_grad for p in clf.model.parameters())


def test_an_encoding_is_as_good_as_its_text(clf: Classifier) -> None:
    by_text, by_encoding = (integrated_gradients(clf, t, n_steps=3) for t in (TEXT, clf.encode(TEXT)))
    assert torch.equal(by_text.scores, by_encoding.scores)


@pytest.fixture
def from_three_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto starts so low that the smooth tiny model needs several rounds."""
    monkeypatch.setattr("gpt2cls_core.attribution.FIRST_INTERVALS", 2)


@pytest.mark.usefixtures("from_three_points")
@pytest.mark.parametrize("tolerance", [0.02, 0.003, 0.0003])
def test_auto_takes_no_more_points_than_the_tolerance_needs(clf: Classifier, tolerance: float) -> None:
    result = integrated_gradients(clf, TEXT, tolerance=tolerance)
    points, _ = spread_clenshaw_curtis(result.n_steps - 1)
    path = the_path(clf, result)
    errors = []
    for step in (1, 2):  # all points, and every second one, which are the round before
        pushes, _ = pushes_at(path, points[::step])
        weights = spread_clenshaw_curtis((result.n_steps - 1) // step)[1]
        errors.append(abs(float((weights @ pushes).sum()) - (result.margin_input - result.margin_baseline)))
    asked = tolerance * abs(result.margin_input - result.margin_baseline)
    assert errors[0] < max(asked, 1e-4)
    assert errors[1] >= asked


@pytest.mark.usefixtures("from_three_points")
def test_a_stricter_tolerance_is_a_smaller_delta(clf: Classifier) -> None:
    loose, strict = (integrated_gradients(clf, TEXT, tolerance=share) for share in (0.2, 0.0003))
    assert strict.n_steps > loose.n_steps
    assert strict.relative_delta < 0.0003


def test_a_delta_lost_in_rounding_ends_auto(clf: Classifier) -> None:
    result = integrated_gradients(clf, TEXT, tolerance=1e-12)
    assert result.n_steps < 385
    assert abs(result.convergence_delta) < 2**-20 * result.scores.abs().sum()


@pytest.mark.usefixtures("from_three_points")
def test_auto_computes_no_point_twice(clf: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def counted(path: Path, points: Tensor) -> tuple[Tensor, Tensor]:
        seen.extend(points.tolist())
        return pushes_at(path, points)

    monkeypatch.setattr("gpt2cls_core.attribution.pushes_at", counted)
    result = integrated_gradients(clf, TEXT, tolerance=0.0003)
    assert result.n_steps > 5, "three rounds or more"
    assert sorted(seen) == pytest.approx(spread_clenshaw_curtis(result.n_steps - 1)[0].tolist(), abs=1e-12)


@pytest.mark.parametrize(("grows", "n_steps"), [(True, 385), (False, 49)])
def test_auto_gives_up_at_385_points_or_where_they_change_nothing_and_says_so(
    clf: Classifier, monkeypatch: pytest.MonkeyPatch, grows: bool, n_steps: int
) -> None:
    def wrong(path: Path, points: Tensor) -> tuple[Tensor, Tensor]:
        # the weights of 13 points sum to 1 within 1e-5, those of more within rounding
        pushes = torch.full((len(points), 7), float(len(points)) if grows else 9.0, dtype=torch.float64)
        return pushes, torch.zeros(len(points))

    monkeypatch.setattr("gpt2cls_core.attribution.pushes_at", wrong)
    result = integrated_gradients(clf, TEXT)
    assert (result.n_steps, result.converged) == (n_steps, False)


def test_a_number_of_steps_is_taken_as_given(clf: Classifier) -> None:
    coarse, fine = (integrated_gradients(clf, TEXT, n_steps=n) for n in (1, ENOUGH))
    assert (coarse.n_steps, fine.n_steps) == (1, ENOUGH)
    assert abs(fine.convergence_delta) < abs(coarse.convergence_delta) / 10


# --- by an independent route ---


def test_parity_with_captums_layer_integrated_gradients(clf: Classifier) -> None:
    ours = integrated_gradients(clf, TEXT, baseline="eos", n_steps=ENOUGH)

    def margin(ids: Tensor) -> Tensor:
        logits = clf.model.score(clf.body(input_ids=ids).last_hidden_state[:, 6])  # the index, explicitly
        return logits[:, ours.target] - logits[:, ours.other]

    ids = clf.encode(TEXT).input_ids[None]
    method = LayerIntegratedGradients(margin, clf.body.wte)
    theirs = method.attribute(ids, torch.zeros_like(ids), n_steps=ENOUGH, method="gausslegendre")
    torch.testing.assert_close(ours.scores, theirs[0].sum(-1), atol=1e-5, rtol=1e-4)  # float32 sums of 64 gradients


@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_parity_with_a_plain_riemann_sum_over_hugging_faces_logits(clf: Classifier, baseline: str) -> None:
    ours = integrated_gradients(clf, TEXT, baseline=baseline, target=3, n_steps=ENOUGH)
    wte = clf.model.get_input_embeddings().weight
    end = torch.stack([wte[int(i)] for i in clf.encode(TEXT).input_ids])
    start = torch.zeros(7, 10) if baseline == "zero" else wte.mean(0).repeat(7, 1)
    points = 1000
    alphas = (torch.arange(points) + 0.5) / points  # midpoint rule, another quadrature than ours
    path = (start + alphas[:, None, None] * (end - start)).requires_grad_()
    logits = clf.model(inputs_embeds=path).logits
    (gradients,) = torch.autograd.grad((logits[:, 3] - logits[:, ours.other]).sum(), path)
    scores = ((end - start) * gradients.mean(0)).sum(-1)
    # both quadratures miss the true integral by about 1e-4 on this curved model, whose scores are of size 1
    torch.testing.assert_close(ours.scores, scores, atol=2e-3, rtol=0)


def test_parity_of_the_margins_with_hugging_face(clf: Classifier) -> None:
    result = integrated_gradients(clf, TEXT, baseline="mean", target=3, n_steps=1)
    ids = clf.encode(TEXT).input_ids
    with torch.no_grad():
        logits = torch.cat(
            [
                clf.model(input_ids=ids[None]).logits,
                clf.model(inputs_embeds=clf.body.wte.weight.mean(0).expand(1, 7, 10)).logits,
            ]
        )
    assert result.other == int(logits[0].index_fill(0, torch.tensor(3), -torch.inf).argmax())
    expected = (logits[:, 3] - logits[:, result.other]).tolist()
    assert [result.margin_input, result.margin_baseline] == pytest.approx(expected, abs=1e-5)  # float32


def test_long_texts_are_done_in_parts_with_the_same_result(clf: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = integrated_gradients(clf, TEXT, n_steps=20)
    monkeypatch.setattr("gpt2cls_core.path_gradients.TOKENS_AT_ONCE", 30)  # four points of seven tokens at once
    torch.testing.assert_close(integrated_gradients(clf, TEXT, n_steps=20).scores, whole.scores, atol=1e-5, rtol=1e-5)
    # float32, summed in another order


# --- failures ---


@pytest.mark.parametrize("text", ["", "  ", None, 5, ["good"], "\udc00", "x" * 100_001], ids=repr)
def test_an_unreadable_text_is_refused(clf: Classifier, text: object) -> None:
    with pytest.raises(TextError, match=r"no text to read|must be a string, not|half of a surrogate|has 100,001 char"):
        integrated_gradients(clf, text)


def test_of_a_text_too_long_the_tokens_read_are_attributed(clf: Classifier) -> None:
    result = integrated_gradients(clf, "good film" + " bad" * 12, n_steps=2)
    assert result.tokens == (" bad",) * 12
    assert result.scores.shape == (12,)


def test_an_unknown_baseline_is_refused(clf: Classifier) -> None:
    with pytest.raises(OptionError, match=r"There is no baseline 'pad'; choose one of eos, zero, mean\."):
        integrated_gradients(clf, TEXT, baseline="pad")


@pytest.mark.parametrize("n_steps", [0, -3, 2.5, "many", None])
def test_a_number_of_steps_that_is_none_is_refused(clf: Classifier, n_steps: object) -> None:
    with pytest.raises(OptionError) as caught:
        integrated_gradients(clf, TEXT, n_steps=n_steps)
    assert str(caught.value) == f'n_steps must be "auto" or a whole number from 1 up, not {n_steps!r}.'


@pytest.mark.parametrize("tolerance", [0, -0.01, 1, math.nan, "1 %", None])
def test_a_tolerance_that_is_no_share_is_refused(clf: Classifier, tolerance: object) -> None:
    with pytest.raises(OptionError) as caught:
        integrated_gradients(clf, TEXT, tolerance=tolerance)
    assert str(caught.value) == f"tolerance must be a share between 0 and 1, such as 0.01 for 1 %, not {tolerance!r}."


def test_an_unknown_precision_is_refused(clf: Classifier) -> None:
    with pytest.raises(OptionError, match=r"There is no precision 'float16'; choose one of float32, bfloat16\."):
        integrated_gradients(clf, TEXT, precision="float16")


@pytest.mark.parametrize("n_steps", [1, "auto"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_weights_that_are_not_numbers_are_named_as_the_cause(
    clf: Classifier, clf2: Classifier, n_steps: int | str, precision: str, broken: float
) -> None:
    for sound in (clf, clf2):
        bad = altered(sound)
        bad.body.h[1].mlp.c_fc.weight[0, 0] = broken
        with pytest.raises(ModelError, match=r"margin that is not a number, so .* Its weights hold NaN or infinite"):
            integrated_gradients(bad, TEXT, n_steps=n_steps, precision=precision)


@pytest.mark.parametrize("target", [5, -1, "great"])
def test_a_class_that_does_not_exist_is_refused(clf: Classifier, target: int | str) -> None:
    with pytest.raises(OptionError, match=f"There is no class {target!r}; the classes are "):
        integrated_gradients(clf, TEXT, target=target)


def test_the_eos_baseline_needs_such_a_token(clf: Classifier) -> None:
    tokenizer = copy.deepcopy(clf.tokenizer)
    tokenizer.eos_token = None
    foreign = dataclasses.replace(clf, tokenizer=tokenizer)
    with pytest.raises(OptionError, match=r'has no end-of-text token; choose the baseline "zero" or "mean"\.'):
        integrated_gradients(foreign, TEXT)
    assert integrated_gradients(foreign, TEXT, baseline="zero", n_steps=1).baseline == "zero"
