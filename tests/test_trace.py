"""The one forward pass: what it keeps is what the model computed, and nothing is left behind."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from conftest import TEXT
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import Classifier, ModelError, TextError, Trace, trace
from gpt2cls_core.trace import forward_hooks

ROUNDING = {"atol": 1e-5, "rtol": 1e-5}  # float32 sums of about 40 terms of size 1, in another order


def altered(clf: Classifier) -> Classifier:
    """A copy whose weights a test may change."""
    return dataclasses.replace(clf, model=copy.deepcopy(clf.model))


# --- by hand ---


def test_resid_0_is_token_plus_position_embedding(clf: Classifier, tr: Trace) -> None:
    vocabulary = clf.tokenizer.get_vocab()
    film = clf.body.wte.weight[vocabulary["Ġfilm"]] + clf.body.wpe.weight[1]
    torch.testing.assert_close(tr.resid[0, 1], film, atol=0, rtol=0)  # one addition of two floats, so exact


def test_a_body_that_writes_nothing_leaves_the_embeddings(clf: Classifier) -> None:
    silent = altered(clf)
    for block in silent.body.h:
        for layer in (block.attn.c_proj, block.mlp.c_proj):
            layer.weight.zero_()
            layer.bias.zero_()
    traced = trace(silent, TEXT)
    assert not traced.attn_out.any()
    assert not traced.mlp_out.any()
    assert torch.equal(traced.resid[3], traced.resid[0])
    assert traced.resid[0].any()


def test_attention_without_queries_is_uniform_over_the_past(clf: Classifier) -> None:
    blind = altered(clf)
    for block in blind.body.h:
        block.attn.c_attn.weight[:, :10] = 0
        block.attn.c_attn.bias[:10] = 0
    row = trace(blind, TEXT).attention[1, 0, 3]
    torch.testing.assert_close(row, torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0, 0]))  # default float32 tolerance


# --- identities ---


def test_shapes_have_no_batch_axis(tr: Trace) -> None:
    assert tr.resid.shape == (4, 7, 10)  # layer+1, pos, d_model
    assert tr.attn_out.shape == tr.mlp_out.shape == (3, 7, 10)  # layer, pos, d_model
    assert tr.attention.shape == (3, 2, 7, 7)  # layer, head, query, key
    assert tr.logits.shape == tr.probabilities.shape == (5,)  # class
    assert tr.input_ids.shape == (7,)  # pos


def test_each_block_adds_its_attention_and_its_mlp(tr: Trace) -> None:
    torch.testing.assert_close(tr.resid[1:], tr.resid[:-1] + tr.attn_out + tr.mlp_out, **ROUNDING)
    assert (tr.attn_out.abs().amax((1, 2)) > 0.1).all(), "a part that adds nothing would prove nothing"
    assert (tr.mlp_out.abs().amax((1, 2)) > 0.1).all()


def test_attention_rows_sum_to_one_and_never_look_ahead(tr: Trace) -> None:
    torch.testing.assert_close(tr.attention.sum(-1), torch.ones(3, 2, 7))
    assert not tr.attention.triu(1).any()
    assert (tr.attention.tril() >= 0).all()


def test_the_head_reads_the_last_position_alone(clf: Classifier, tr: Trace) -> None:
    assert tr.last_token_index == 6
    normed = clf.body.ln_f(tr.resid[3, 6])
    torch.testing.assert_close(tr.logits, torch.stack([(normed * row).sum() for row in clf.score]), **ROUNDING)


def test_the_trace_of_a_prefix_is_the_prefix_of_the_trace(clf: Classifier, tr: Trace) -> None:
    prefix = trace(clf, "good film, but")
    torch.testing.assert_close(prefix.resid, tr.resid[:, :4], **ROUNDING)
    torch.testing.assert_close(prefix.attention, tr.attention[:, :, :4, :4], **ROUNDING)
    assert not torch.allclose(prefix.logits, tr.logits, atol=0.01), "the verdict does depend on the last words"


def test_everything_is_a_detached_float32_cpu_tensor_fit_for_later_computation(tr: Trace) -> None:
    for name in ("resid", "attn_out", "mlp_out", "attention", "logits"):
        tensor = getattr(tr, name)
        assert (tensor.dtype, tensor.device.type, tensor.requires_grad) == (torch.float32, "cpu", False), name
        assert not tensor.is_inference(), name


def test_the_trace_tells_what_its_encoding_tells(clf: Classifier) -> None:
    encoding = clf.encode("not good" * 9)
    traced = trace(clf, encoding)
    assert traced.text == "not good" * 9
    assert traced.tokens_cut == encoding.tokens_cut > 0
    assert (traced.tokens, traced.words, traced.offsets) == (encoding.tokens, encoding.words, encoding.offsets)


def test_label_and_probabilities_follow_from_the_logits(tr: Trace) -> None:
    logits = torch.tensor([0.0, math.log(2), math.log(5), 0.0, 0.0])  # softmax: 0.1, 0.2, 0.5, 0.1, 0.1
    made = dataclasses.replace(tr, logits=logits)
    torch.testing.assert_close(made.probabilities, torch.tensor([0.1, 0.2, 0.5, 0.1, 0.1]))
    assert made.label == "LABEL_2"


def test_a_trace_is_frozen_and_compares_by_identity(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tr.logits = torch.zeros(5)
    assert tr != trace(clf, TEXT)


# --- by an independent route ---


def test_parity_with_hugging_face(clf: Classifier, tr: Trace) -> None:
    with torch.no_grad():
        theirs = clf.model(tr.input_ids[None], output_hidden_states=True, output_attentions=True)
    states = torch.cat(theirs.hidden_states)
    torch.testing.assert_close(tr.logits, theirs.logits[0], **ROUNDING)
    torch.testing.assert_close(tr.resid[:3], states[:3], **ROUNDING)
    torch.testing.assert_close(clf.body.ln_f(tr.resid[3]), states[3], **ROUNDING)  # theirs is already after ln_f
    torch.testing.assert_close(tr.attention, torch.cat(theirs.attentions), **ROUNDING)


def test_parity_with_one_token_at_a_time_through_the_cache(clf: Classifier, tr: Trace) -> None:
    cache = None
    for token in tr.input_ids:
        with torch.no_grad():
            step = clf.body(input_ids=token[None, None], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
    torch.testing.assert_close(tr.logits, clf.model.score(step.last_hidden_state[0, 0]), **ROUNDING)


# --- failures ---


def hooks(clf: Classifier) -> int:
    """Hooks on the model; Hugging Face leaves its own where attention or hidden states were asked for, so compare."""
    return sum(len(module._forward_hooks) for module in clf.model.modules())


@pytest.mark.parametrize("text", ["", "  ", None, 5, ["good"], "\udc00"])
def test_an_unreadable_text_is_refused(clf: Classifier, text: object) -> None:
    with pytest.raises(TextError, match=r"There is no text to read|must be a string, not|half of a surrogate pair"):
        trace(clf, text)


def test_a_model_without_attention_weights_is_refused_and_left_without_hooks(clf: Classifier) -> None:
    model = GPT2ForSequenceClassification.from_pretrained(clf.name, attn_implementation="sdpa").eval()
    fast = dataclasses.replace(clf, model=model)
    with pytest.raises(ModelError) as caught:
        trace(fast, TEXT)
    assert str(caught.value) == 'The model returns no attention weights; load it with attn_implementation="eager".'
    assert hooks(fast) == 0


def test_no_hook_outlives_its_block(clf: Classifier) -> None:
    before = hooks(clf)
    trace(clf, TEXT)
    assert hooks(clf) == before
    pairs = [(clf.body.drop, lambda *_: None), (clf.body.ln_f, lambda *_: None)]
    with forward_hooks(*pairs):
        assert hooks(clf) == before + 2
    with pytest.raises(RuntimeError, match="on purpose"), forward_hooks(*pairs):
        raise RuntimeError("on purpose")
    assert hooks(clf) == before


def test_hooks_are_removed_if_one_can_not_be_registered(clf: Classifier) -> None:
    before = hooks(clf)
    with pytest.raises(AttributeError), forward_hooks((clf.body.drop, lambda *_: None), (None, lambda *_: None)):
        pass
    assert hooks(clf) == before
