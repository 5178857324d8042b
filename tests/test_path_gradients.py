"""The forward pass that leaves out what nobody reads gives what the model and Captum give."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from adapters import save_base, save_changes
from captum.attr import LayerIntegratedGradients
from conftest import TEXT, randomise, tiny_config
from torch import Tensor, nn
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import Classifier, integrated_gradients, load_classifier
from gpt2cls_core.attribution import baseline_embedding
from gpt2cls_core.path_gradients import Path, logits_at_last, margins_at, pushes_at

ENDS = torch.tensor([1.0, 0.0])
REGIMES = ("plain", "lora", "prompt")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, clf2: Classifier) -> Callable[[str, int], Classifier]:
    """A classifier of a regime, with two classes or five."""
    base = save_base(tmp_path_factory.mktemp("regimes") / "base")
    loaded = {name: load_classifier(save_changes(base, name)) for name in ("lora", "prompt")} | {"plain": clf2}

    def of(regime: str, n_classes: int) -> Classifier:
        found = loaded[regime]
        if n_classes == 2:
            return found
        model = copy.copy(found.model)
        model._modules = dict(found.model._modules)
        model.score = randomise(nn.Linear(found.d_model, n_classes, bias=False), 9).requires_grad_(False)
        return dataclasses.replace(found, model=model, labels=tuple("abcde"))

    return of


def path_of(clf: Classifier, precision: str = "float32", baseline: str = "eos") -> Path:
    end = clf.body.wte(clf.encode(TEXT).input_ids)
    return Path(clf, baseline_embedding(clf, len(end), baseline), end, 1, 0, precision)


def embedded(clf: Classifier) -> Tensor:
    """Two rows of token embeddings [batch pos d_model]."""
    path = path_of(clf)
    return torch.stack([path.end, 0.3 * path.start + 0.7 * path.end])


# --- the forward pass ---


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation_function": "gelu_pytorch_tanh"},
        {"activation_function": "relu"},
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"reorder_and_upcast_attn": True},
        {"n_layer": 1},
        {"n_inner": 14},
    ],
    ids=str,
)
def test_logits_are_hugging_faces(clf: Classifier, changes: dict) -> None:
    model = randomise(GPT2ForSequenceClassification(tiny_config(**changes, attn_implementation="eager"))).eval()
    other = dataclasses.replace(clf, model=model.requires_grad_(False))
    rows = embedded(other)
    expected = model(inputs_embeds=rows).logits
    torch.testing.assert_close(
        logits_at_last(other, rows), expected, atol=2e-5, rtol=1e-5
    )  # float32, other order of sums
    assert expected.std() > 0.1, "nothing would be equal too"


@pytest.mark.parametrize("regime", REGIMES)
def test_logits_of_adapters_are_hugging_faces(trained: Callable[[str, int], Classifier], regime: str) -> None:
    for n_classes in (2, 5):
        clf = trained(regime, n_classes)
        hidden = clf.body(inputs_embeds=embedded(clf)).last_hidden_state
        torch.testing.assert_close(
            logits_at_last(clf, embedded(clf)), clf.model.score(hidden[:, -1]), atol=2e-5, rtol=1e-5
        )  # float32, other order of sums


def test_a_text_of_one_token_is_read(clf: Classifier) -> None:
    rows = embedded(clf)[:, :1]
    torch.testing.assert_close(logits_at_last(clf, rows), clf.model(inputs_embeds=rows).logits, atol=2e-5, rtol=1e-5)


# --- gradients ---


def test_pushes_add_up_to_the_slope_of_the_margin(clf: Classifier) -> None:
    clf = dataclasses.replace(clf, model=copy.deepcopy(clf.model))
    path = path_of(clf)
    points = torch.tensor([0.2, 0.5, 0.9])
    pushes, margins = pushes_at(path, points)
    apart = 1e-2
    slopes = (margins_at(path, points + apart) - margins_at(path, points - apart)) / (2 * apart)
    assert (pushes.shape, pushes.dtype, margins.dtype) == ((3, 7), torch.float64, torch.float64)
    torch.testing.assert_close(margins, margins_at(path, points), atol=1e-5, rtol=1e-5)  # float32
    # the difference quotient errs by its distance squared, and by float32's 1e-6 over that distance
    torch.testing.assert_close(pushes.sum(-1), slopes, atol=1e-2, rtol=1e-2)


def test_no_tensor_is_larger_than_the_batch_that_is_allowed(clf: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of(clf)
    whole, _ = pushes_at(path, torch.linspace(0, 1, 40))
    rows: list[int] = []
    handle = clf.body.ln_f.register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    monkeypatch.setattr("gpt2cls_core.path_gradients.TOKENS_AT_ONCE", 30)
    try:
        parts, _ = pushes_at(path, torch.linspace(0, 1, 40))
    finally:
        handle.remove()
    assert sum(rows) == 40
    assert max(rows) <= 30 // 7
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)  # float32, other order of sums


def test_a_text_longer_than_a_batch_goes_through_point_by_point(
    clf: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt2cls_core.path_gradients.TOKENS_AT_ONCE", 3)
    pushes, margins = pushes_at(path_of(clf), ENDS)
    assert (pushes.shape, margins.shape) == ((2, 7), (2,))


def test_nothing_is_left_behind(clf: Classifier) -> None:
    path = path_of(clf)
    pushes, margins = pushes_at(path, ENDS)
    assert not pushes.requires_grad
    assert not margins.requires_grad
    assert not path.end.requires_grad
    assert all(p.grad is None and not p.requires_grad for p in clf.model.parameters())


def test_gradients_are_taken_where_the_caller_switched_them_off(clf: Classifier) -> None:
    path = path_of(clf)
    with torch.no_grad():
        pushes, _ = pushes_at(path, ENDS)
    torch.testing.assert_close(pushes, pushes_at(path, ENDS)[0], atol=0, rtol=0)


# --- by Captum's route ---


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("regime", REGIMES)
def test_scores_are_captums(trained: Callable[[str, int], Classifier], regime: str, n_classes: int) -> None:
    clf = trained(regime, n_classes)
    ours = integrated_gradients(clf, TEXT, target=1, n_steps=50)
    grown = integrated_gradients(clf, TEXT, target=1)

    def margin(ids: Tensor) -> Tensor:
        hidden = clf.body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
        logits = clf.model.score(hidden[:, -1])
        return logits[:, 1] - logits[:, ours.other]

    ids = clf.encode(TEXT).input_ids[None]
    theirs = LayerIntegratedGradients(margin, clf.body.wte).attribute(ids, torch.zeros_like(ids), n_steps=50)
    scores = theirs[0].sum(-1).detach()
    torch.testing.assert_close(ours.scores, scores, atol=2e-5, rtol=1e-4)  # float32 sums of 50 gradients
    # auto: another rule, stopped at 1 % of the change in margin
    assert grown.converged
    assert (grown.scores - scores).abs().max() < 0.05 * scores.abs().sum()


# --- bfloat16 ---


@pytest.mark.parametrize("baseline", ["eos", "zero", "mean"])
def test_bfloat16_scores_are_those_of_float32_within_its_rounding(clf2: Classifier, baseline: str) -> None:
    exact, rounded = (
        integrated_gradients(clf2, TEXT, baseline=baseline, n_steps=64, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    difference = (exact.scores - rounded.scores).abs()
    # 8 significant bits err by up to 0.4 % in each of 12 products one after another, there and back again
    assert 0 < difference.max() < 0.03 * exact.scores.abs().max()
    assert rounded.precision == "bfloat16"
    assert (rounded.margin_input, rounded.margin_baseline) == (exact.margin_input, exact.margin_baseline)


def test_bfloat16_ends_where_the_delta_is_lost_in_its_rounding(clf2: Classifier) -> None:
    result = integrated_gradients(clf2, TEXT, tolerance=1e-6, precision="bfloat16")
    assert result.n_steps < 385
    assert 1e-6 < abs(result.convergence_delta) < 2**-7 * result.scores.abs().sum()
