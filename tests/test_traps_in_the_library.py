"""Known traps of explaining a GPT-2 classifier: the wrong way's outcome next to ours.

Each test shows that the trap is real (the wrong way does go wrong here) and that the library does not fall into it.
"""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from conftest import END_OF_TEXT, TEXT, randomise, tiny_config
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification

from gpt2cls_core import (
    Classifier,
    ModelError,
    TextError,
    Trace,
    agreement,
    attention_rollout,
    gradient_weighted_rollout,
    head_products,
    integrated_gradients,
    load_classifier,
    predict,
    predict_batch,
    trace,
)
from gpt2cls_core.rollout import uniform_causal_attention

ROUNDING = {"atol": 1e-5, "rtol": 1e-5}  # float32 sums of about 40 terms of size 1, in another order


def altered(clf: Classifier) -> Classifier:
    """A copy whose weights a test may change."""
    return dataclasses.replace(clf, model=copy.deepcopy(clf.model))


# --- 1. raw rollout on a causal model is nearly meaningless ---


def twelve_layers_of(tr: Trace, attention: Tensor) -> Trace:
    """A trace of 20 tokens whose 12 layers of one head all look where we say [query key]."""
    encoding = dataclasses.replace(tr.encoding, tokens=("x",) * 20)
    return dataclasses.replace(tr, encoding=encoding, attention=attention.expand(12, 1, 20, 20))


def test_trap_1_uniform_attention_seems_to_read_the_first_token(tr: Trace) -> None:
    rollout = attention_rollout(twelve_layers_of(tr, uniform_causal_attention(20)))
    assert float(rollout.weights[-1, 0]) == pytest.approx(0.77, abs=0.005)  # raw: 77 % though nothing was learned
    assert float(rollout.weights[-1, -1]) == pytest.approx(0.0004, abs=5e-5)
    assert rollout.beyond.abs().max() < 1e-6  # ours: nothing was learned; float32


def test_trap_1_a_sink_swallows_the_rollout(tr: Trace) -> None:
    sink = 0.4 * uniform_causal_attention(20)
    sink[:, 0] += 0.6
    sunken = twelve_layers_of(tr, sink)
    assert float(attention_rollout(sunken).weights[-1, 0]) == pytest.approx(0.99, abs=0.005)  # raw
    removed = attention_rollout(sunken, remove_sink=True)
    assert removed.weights[1:, 0].max() == 0  # ours
    assert removed.beyond.abs().max() < 1e-5  # and beyond the sink nothing was learned; float32


# --- 2. Captum's delta is false when the baseline is all pad ---


def test_trap_2_the_models_own_pooling_makes_captums_delta_false(clf2: Classifier) -> None:
    def own_pooling(ids: Tensor) -> Tensor:
        logits = clf2.model(input_ids=ids).logits  # finds its last token by looking for pads: position 0 if all are
        return logits[:, 1] - logits[:, 0]

    def explicit_index(ids: Tensor) -> Tensor:
        logits = clf2.model.score(clf2.body(input_ids=ids).last_hidden_state[:, -1])
        return logits[:, 1] - logits[:, 0]

    ids = clf2.encode(TEXT).input_ids[None]
    deltas, scores = [], []
    for margin, n_steps in ((own_pooling, 50), (own_pooling, 200), (explicit_index, 50)):
        score, delta = LayerIntegratedGradients(margin, clf2.body.wte).attribute(
            ids, torch.zeros_like(ids), n_steps=n_steps, method="gausslegendre", return_convergence_delta=True
        )
        deltas.append(float(delta))
        scores.append(score[0].sum(-1))
    assert abs(deltas[0]) > 0.1
    assert deltas[1] == pytest.approx(deltas[0], abs=1e-3), "no number of steps cures it"
    assert abs(deltas[2]) < 1e-4  # quadrature at 50 points
    ours = integrated_gradients(clf2, TEXT, baseline="eos", n_steps=50)
    assert abs(ours.convergence_delta) < 1e-4  # quadrature at 50 points
    torch.testing.assert_close(ours.scores, scores[0], **ROUNDING)  # the scores were right all along
    torch.testing.assert_close(ours.scores, scores[2], **ROUNDING)


# --- 3. the default attention returns no weights, and no error ---


def test_trap_3_sdpa_returns_no_attention_and_ours_says_so(clf: Classifier, tr: Trace) -> None:
    model = GPT2ForSequenceClassification.from_pretrained(clf.name).eval()
    assert model.config._attn_implementation == "sdpa", "the default has changed"
    assert not model(tr.input_ids[None], output_attentions=True).attentions  # empty, without an error
    default = dataclasses.replace(clf, model=model)
    for method in (lambda: trace(default, TEXT), lambda: gradient_weighted_rollout(default, tr)):
        with pytest.raises(ModelError, match='load it with attn_implementation="eager"'):
            method()


def test_trap_3_load_classifier_loads_with_attention(clf: Classifier) -> None:
    assert load_classifier(clf.name).model.config._attn_implementation == "eager"


# --- 4. and 12. hidden_states[-1] is already after ln_f ---


def test_trap_4_a_doubled_ln_f_breaks_the_verdict_and_ours_does_not(clf: Classifier, tr: Trace) -> None:
    with torch.no_grad():
        states = clf.model(tr.input_ids[None], output_hidden_states=True).hidden_states
        doubled = clf.model.score(clf.body.ln_f(states[-1][0, -1]))
        ours = clf.model.score(clf.body.ln_f(tr.resid[-1, -1]))
    assert (doubled - tr.logits).abs().max() > 0.1
    torch.testing.assert_close(ours, tr.logits, **ROUNDING)
    torch.testing.assert_close(head_products(clf, tr).vector, states[-1][0, -1], **ROUNDING)


def test_trap_12_fresh_layer_norms_hide_a_doubled_ln_f_and_the_fixtures_do_not(clf: Classifier) -> None:
    def error_of_doubling(model: GPT2ForSequenceClassification) -> float:
        with torch.no_grad():
            state = model.transformer(torch.tensor([[5, 6, 7]])).last_hidden_state
            return float((model.score(model.transformer.ln_f(state)) - model.score(state)).abs().max())

    torch.manual_seed(0)
    fresh = GPT2ForSequenceClassification(tiny_config(initializer_range=0.5)).eval()
    assert error_of_doubling(fresh) < 1e-4
    assert error_of_doubling(randomise(fresh)) > 0.1
    assert error_of_doubling(clf.model) > 0.1


def test_trap_12_wrong_config_names_stay_12_by_768_and_the_fixtures_are_read(clf: Classifier) -> None:
    wrong = GPT2Config(n_layers=3, n_heads=2, d_model=10)
    assert (wrong.n_layer, wrong.n_head, wrong.n_embd) == (12, 12, 768)
    assert (len(clf.body.h), clf.body.wte.weight.shape[1]) == (3, 10)
    assert clf.body.h[0].attn.num_heads == 2


# --- 5. inputs_embeds ignores padding; 6. left padding, a literal end-of-text, empty input ---


def test_trap_6_left_padding_without_positions_changes_the_logits_and_ours_pads_right(clf: Classifier) -> None:
    ids = clf.encode("good film").input_ids
    padded = torch.cat([torch.zeros(3, dtype=torch.int64), ids])[None]
    real = torch.tensor([[0, 0, 0, 1, 1]])
    with torch.no_grad():
        alone = clf.model(ids[None]).logits[0]
        left = clf.model(padded, attention_mask=real).logits[0]
        cured = clf.model(padded, attention_mask=real, position_ids=torch.tensor([[0, 0, 0, 0, 1]])).logits[0]
    assert (left - alone).abs().max() > 0.1
    torch.testing.assert_close(cured, alone, **ROUNDING)
    beside_a_longer_text = predict_batch(clf, ["good film", TEXT])[0]
    torch.testing.assert_close(beside_a_longer_text.logits, alone, **ROUNDING)


def test_trap_6_pooling_by_pad_id_skips_an_end_of_text_and_ours_reads_the_last_position(clf: Classifier) -> None:
    plain = clf.encode("good film")
    ended = dataclasses.replace(
        plain, input_ids=torch.cat([plain.input_ids, torch.tensor([0])]), tokens=(*plain.tokens, END_OF_TEXT)
    )
    with torch.no_grad():
        own_pooling = clf.model(ended.input_ids[None]).logits[0]
        last = clf.model.score(clf.body(ended.input_ids[None]).last_hidden_state[0, 2])
    torch.testing.assert_close(own_pooling, predict(clf, "good film").logits, **ROUNDING)  # as if it were not there
    assert (own_pooling - last).abs().max() > 0.1
    torch.testing.assert_close(trace(clf, ended).logits, last, **ROUNDING)
    margin = integrated_gradients(clf, ended, n_steps=1)
    assert margin.margin_input == pytest.approx(float(last[margin.target] - last[margin.other]), abs=1e-5)  # float32


def test_trap_6_a_typed_end_of_text_is_characters(clf: Classifier) -> None:
    typed = "me" + END_OF_TEXT
    assert clf.tokenizer(typed).input_ids[-1] == 0, "the plain way reads the special token, which is the pad"
    encoding = clf.encode(typed)
    assert 0 not in encoding.input_ids
    assert encoding.tokens[-3:] == ("t", "|", ">")
    assert clf.tokenizer(typed).input_ids[-1] == 0, "and the tokenizer is left as it was"


def test_trap_6_empty_input_has_no_last_token(clf: Classifier) -> None:
    with pytest.raises(IndexError):
        clf.model(torch.zeros(1, 0, dtype=torch.int64))
    for method in (trace, predict, integrated_gradients):
        with pytest.raises(TextError, match="There is no text to read yet"):
            method(clf, "")


# --- 7. the margin, neither a probability nor one logit ---


def gradients(clf: Classifier, verdict: object) -> Tensor:
    """Gradient of verdict(logits) with respect to the token embeddings of TEXT [pos d_model]."""
    embeddings = clf.body.wte.weight[clf.encode(TEXT).input_ids][None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(verdict(clf.model(inputs_embeds=embeddings).logits[0]), embeddings)
    return gradient[0]


def test_trap_7_the_probability_saturates_and_the_margin_does_not(clf2: Classifier) -> None:
    sure = altered(clf2)
    sure.model.score.weight.mul_(20)
    probability, margin = (
        gradients(sure, verdict).abs().max()
        for verdict in (lambda logits: logits.softmax(-1)[1], lambda logits: logits[1] - logits[0])
    )
    assert probability < 1e-4
    assert margin > 1
    assert integrated_gradients(sure, TEXT, n_steps=8).scores.abs().max() > 1


def test_trap_7_one_logit_carries_what_is_common_to_both_classes_and_the_margin_does_not(clf2: Classifier) -> None:
    shifted = altered(clf2)
    shifted.model.score.weight.add_(torch.linspace(-3, 3, 10))  # added to both rows, so no verdict changes
    torch.testing.assert_close(predict(shifted, TEXT).probabilities, predict(clf2, TEXT).probabilities, **ROUNDING)
    one = [gradients(model, lambda logits: logits[1]) for model in (clf2, shifted)]
    assert (one[1] - one[0]).abs().max() > 0.1
    ours = [integrated_gradients(model, TEXT, n_steps=16).scores for model in (clf2, shifted)]
    torch.testing.assert_close(ours[1], ours[0], atol=1e-4, rtol=0)  # float32, with logits three times as large


# --- 8. no baseline is neutral; position embeddings stay ---


def test_trap_8_baselines_disagree_and_ours_says_how_far(clf2: Classifier) -> None:
    stories = [integrated_gradients(clf2, TEXT, baseline=baseline) for baseline in ("eos", "zero", "mean")]
    assert all(story.converged for story in stories), "all complete, and yet not the same"
    assert [story.baseline for story in stories] == ["eos", "zero", "mean"]
    matrix = agreement(stories)
    assert matrix.shape == (3, 3)
    assert matrix[0, 1] < 0.5


def test_trap_8_the_baseline_keeps_its_positions(clf: Classifier) -> None:
    def without_positions(_module: object, _inputs: object, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    ours = integrated_gradients(clf, TEXT, baseline="zero", n_steps=1)
    nothing = torch.zeros(1, 7, 10)
    with torch.no_grad():
        kept = clf.model(inputs_embeds=nothing).logits[0]
        handle = clf.body.drop.register_forward_hook(without_positions)
        lost = clf.model(inputs_embeds=nothing).logits[0]
        handle.remove()
    kept_margin, lost_margin = (float(logits[ours.target] - logits[ours.other]) for logits in (kept, lost))
    assert abs(lost_margin - kept_margin) > 0.01
    assert ours.margin_baseline == pytest.approx(kept_margin, abs=1e-5)  # float32


# --- 10. byte-level tokens ---


def test_trap_10_a_word_is_other_tokens_after_a_blank_and_ours_is_the_same_word(clf: Classifier) -> None:
    encoding = clf.encode("not not")
    assert encoding.tokens == ("n", "o", "t", " not")
    assert [word.text for word in encoding.words] == ["not", "not"]


def test_trap_10_tokens_of_an_emoji_can_not_be_decoded_one_by_one_and_ours_shows_it_once(clf: Classifier) -> None:
    encoding = clf.encode("good 👍!")
    one_by_one = [clf.tokenizer.decode([token]) for token in encoding.input_ids.tolist()]
    assert one_by_one == ["good", " ", "\ufffd", "\ufffd", "\ufffd", "\ufffd", "!"]
    assert encoding.tokens == ("good", " ", "👍", "⋯", "⋯", "⋯", "!")
    assert [word.text for word in encoding.words] == ["good", " ", "👍!"]
    result = integrated_gradients(clf, encoding, n_steps=4)
    assert result.word_scores.tolist() == pytest.approx(
        [float(result.scores[0]), float(result.scores[1]), float(result.scores[2:].sum())], abs=1e-6
    )  # float32


# --- 13. a forward hook that returns a value replaces the output ---


def test_trap_13_a_hook_that_returns_changes_the_verdict_and_ours_do_not(clf: Classifier, tr: Trace) -> None:
    with torch.no_grad():
        unhooked = clf.model(tr.input_ids[None]).logits[0]
        handle = clf.body.h[0].mlp.register_forward_hook(lambda _module, _inputs, output: output[..., :1])
        replaced = clf.model(tr.input_ids[None]).logits[0]
        handle.remove()
    assert (replaced - unhooked).abs().max() > 0.1
    torch.testing.assert_close(trace(clf, TEXT).logits, unhooked, **ROUNDING)
    gradient_weighted_rollout(clf, tr)
    torch.testing.assert_close(predict(clf, TEXT).logits, unhooked, **ROUNDING)
