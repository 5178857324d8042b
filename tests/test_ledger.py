"""The account closes: on paper, for every text, and against gradients and loops that know nothing of it."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from conftest import TEXT
from torch import Tensor

from gpt2cls_core import Classifier, Ledger, OptionError, Term, Trace, head_products, margin_ledger, trace

TEXTS = [TEXT, "good", "not bad.", "bad film, good for me"]


@pytest.fixture
def ledger(clf: Classifier, tr: Trace) -> Ledger:
    return margin_ledger(clf, tr)


def frozen_gradient(clf: Classifier, tr: Trace, target: int, other: int) -> Tensor:
    """What the margin gains per unit of the last vector while the scale of ``ln_f`` stays: by autograd [d_model]."""
    x = tr.resid[-1, -1].double().requires_grad_()
    norm = clf.body.ln_f
    scale = (x.var(unbiased=False) + norm.eps).sqrt().detach()
    vector = (x - x.mean()) / scale * norm.weight.double() + norm.bias.double()
    with torch.enable_grad():
        margin = vector @ (clf.score[target].double() - clf.score[other].double())
    return torch.autograd.grad(margin, x)[0]


# --- by hand ---


def test_a_model_of_two_embeddings_worked_out_by_hand(clf2: Classifier) -> None:
    model = copy.deepcopy(clf2.model)
    for parameter in model.parameters():
        parameter.fill_(0)
    token = clf2.encode("good").input_ids[0]
    pattern = torch.tensor([1.0, -1] * 5)
    model.transformer.wte.weight[token] = 1.5 * pattern + 2  # the 2 is the same everywhere: LayerNorm takes it away
    model.transformer.wpe.weight[0] = 0.5 * pattern
    model.transformer.h[1].mlp.c_proj.bias.copy_(2 * pattern)  # an MLP that says the same of everything
    model.transformer.ln_f.weight.fill_(3)
    model.transformer.ln_f.bias[0] = 0.25
    model.score.weight[1, 0] = 1
    hand = dataclasses.replace(clf2, model=model)
    ledger = margin_ledger(hand, trace(hand, "good"))
    # x = 4 · pattern + 2, so σ = 4. The head reads 3/4 of coordinate 0: ¾·1.5, ¾·0.5, ¾·2, and the shift 0.25.
    values = {term.name: term.value for term in ledger.terms if term.value}
    assert values == pytest.approx(  # LayerNorm's ε of 1e-5 beside a variance of 16
        {
            "token embedding": 1.125,
            "position embedding": 0.375,
            "layer 2, MLP": 1.5,
            "bias of the final LayerNorm": 0.25,
        },
        abs=1e-5,
    )
    assert ledger.scale == pytest.approx(4, abs=1e-5)
    assert ledger.margin == pytest.approx(3.25, abs=1e-5)
    assert ledger.written_by_token.tolist() == [0]


def test_a_head_that_reads_two_tokens_worked_out_by_hand(clf2: Classifier) -> None:
    model = copy.deepcopy(clf2.model)
    for parameter in model.parameters():
        parameter.fill_(0)
    attn, pattern = model.transformer.h[0].attn, torch.tensor([1.0, -1] * 5)
    model.transformer.h[0].ln_1.weight.fill_(1)
    attn.c_attn.weight[:, 20:] = torch.eye(10)  # values are the normalised stream
    attn.c_attn.bias[20] = 0.5  # and half a unit that comes from no token
    attn.c_proj.weight.copy_(torch.eye(10))  # head 1 writes coordinates 0 to 4, head 2 the others
    model.transformer.ln_f.weight.fill_(1)
    model.score.weight[1, 0], model.score.weight[1, 1] = 1, -1  # reads x_0 − x_1, which has mean 0
    hand = dataclasses.replace(clf2, model=model)
    tr = trace(hand, "good film")
    resid, attention = torch.zeros_like(tr.resid), torch.zeros_like(tr.attention)
    resid[0, 0], resid[0, 1], resid[-1, 1] = 7 * pattern, -7 * pattern, 2 * pattern
    attention[0, :, 1] = torch.tensor([0.25, 0.75])
    ledger = margin_ledger(hand, dataclasses.replace(tr, resid=resid, attention=attention))
    # u = (½, −½, 0, …); the value of token 0 is the pattern and weighs ¼ · (½ + ½), that of token 1 is its mirror image
    torch.testing.assert_close(
        ledger.sources(0, 0).float(), torch.tensor([0.25, -0.75]), atol=1e-5, rtol=0
    )  # LayerNorm's ε
    assert ledger.sources(0, 1).tolist() == [0, 0]
    assert float(ledger.heads[0, 0]) == pytest.approx(-0.5, abs=1e-5)
    assert float(ledger.attention_bias[0]) == pytest.approx(0.25, abs=1e-5)  # ½ · ½, wherever it looks


# --- identities ---


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("target", [None, 0, 2])
def test_the_terms_sum_to_the_models_margin(clf: Classifier, text: str, target: int | None) -> None:
    tr = trace(clf, text)
    ledger = margin_ledger(clf, tr, target=target)
    total = sum(term.value for term in ledger.terms)
    # The account is kept in float64, the model adds its stream and logits in float32: 1e-5 on terms of size 1.
    assert total == pytest.approx(float(tr.logits[ledger.target] - tr.logits[ledger.other]), abs=1e-5)
    assert ledger.residual == pytest.approx(ledger.margin - total, abs=1e-12)  # the same, in float64
    assert abs(ledger.residual) < 1e-5


def test_sources_sum_to_heads_and_tokens_and_rest_to_the_margin(ledger: Ledger) -> None:
    assert ledger.by_source.shape == (3, 2, 7)
    torch.testing.assert_close(ledger.by_source.sum(-1), ledger.heads)  # default float64 tolerance
    everything = float(ledger.written_by_token.sum()) + ledger.from_no_source + ledger.residual
    assert everything == pytest.approx(ledger.margin, abs=1e-10)  # float64
    assert ledger.sources(-1, -1).equal(ledger.by_source[2, 1])


def test_terms_come_in_order_with_a_name_each(ledger: Ledger) -> None:
    terms = ledger.terms
    assert len(terms) == 2 + 3 * (2 + 1 + 1) + 1
    assert [term.name for term in terms[:6]] == [
        "token embedding",
        "position embedding",
        "layer 1, head 1",
        "layer 1, head 2",
        "layer 1, attention bias",
        "layer 1, MLP",
    ]
    assert terms[-2].name == "layer 3, MLP"
    assert terms[-1] == Term("final bias", None, None, ledger.final_bias)
    assert terms[7] == Term("head", 1, 1, float(ledger.heads[1, 1]))
    assert len({term.name for term in terms}) == len(terms)


def test_the_other_target_turns_every_sign(clf2: Classifier) -> None:
    tr = trace(clf2, TEXT)
    ones, zeros = margin_ledger(clf2, tr, target="positive"), margin_ledger(clf2, tr, target="negative")
    assert ones.by_source.equal(-zeros.by_source)
    assert [term.value for term in ones.terms] == [-term.value for term in zeros.terms]


def test_one_token_is_its_own_only_source(clf: Classifier) -> None:
    ledger = margin_ledger(clf, trace(clf, "good"))
    assert ledger.by_source.shape == (3, 2, 1)
    assert ledger.by_source[..., 0].equal(ledger.heads)


def test_a_text_cut_at_the_context_is_booked_from_its_end(clf: Classifier) -> None:
    tr = trace(clf, TEXT * 3)
    ledger = margin_ledger(clf, tr)
    assert tr.tokens_cut > 0
    assert ledger.by_source.shape == (3, 2, 12)
    everything = float(ledger.written_by_token.sum()) + ledger.from_no_source
    # The account is kept in float64, the model adds in float32: 1e-5 on terms of size 1.
    assert everything == pytest.approx(float(tr.logits[ledger.target] - tr.logits[ledger.other]), abs=1e-5)


def test_the_margin_is_that_of_the_head_products(clf: Classifier, tr: Trace, ledger: Ledger) -> None:
    products = head_products(clf, tr)
    assert (ledger.margin, ledger.target, ledger.other) == (products.margin, products.target, products.other)


def test_nothing_is_attributed_to_a_token_that_no_head_looks_at(clf: Classifier, tr: Trace) -> None:
    attention = tr.attention.clone()
    attention[:, :, -1, 2] = 0
    ledger = margin_ledger(clf, dataclasses.replace(tr, attention=attention))
    assert ledger.written_by_token[2] == 0


# --- independent routes ---


def test_embeddings_attention_and_mlps_against_autograd(clf: Classifier, tr: Trace, ledger: Ledger) -> None:
    gradient = frozen_gradient(clf, tr, ledger.target, ledger.other)
    embedding = clf.body.wte.weight[tr.input_ids[-1]].double() @ gradient
    assert ledger.token_embedding == pytest.approx(float(embedding), abs=1e-10)  # float64 on both sides
    assert ledger.position_embedding == pytest.approx(float(clf.body.wpe.weight[6].double() @ gradient), abs=1e-10)
    torch.testing.assert_close(ledger.mlps, tr.mlp_out[:, -1].double() @ gradient)
    # All that a block's attention wrote, as the model computed it in float32: hence 1e-5.
    attention = ledger.heads.sum(-1) + ledger.attention_bias
    torch.testing.assert_close(attention, tr.attn_out[:, -1].double() @ gradient, atol=1e-5, rtol=0)


def test_every_source_of_every_head_against_loops_over_the_models_modules(
    clf: Classifier, tr: Trace, ledger: Ledger
) -> None:
    gradient = frozen_gradient(clf, tr, ledger.target, ledger.other).float()
    for layer, block in enumerate(clf.body.h):
        with torch.no_grad():
            values = block.attn.c_attn(block.ln_1(tr.resid[layer]))[:, 20:]  # (pos, d_model)
            constant = block.attn.c_attn(block.ln_1.bias[None])[0, 20:]  # whatever stands there
            written = block.attn.c_proj.weight  # (head × d_head, d_model)
        bias = float((constant @ written + block.attn.c_proj.bias) @ gradient)
        assert float(ledger.attention_bias[layer]) == pytest.approx(bias, abs=1e-5)  # float32 modules
        for head in range(2):
            rows = slice(5 * head, 5 * head + 5)
            for position in range(7):
                copied = (values[position, rows] - constant[rows]) @ written[rows]
                expected = float(tr.attention[layer, head, -1, position] * (copied @ gradient))
                found = float(ledger.by_source[layer, head, position])
                assert found == pytest.approx(expected, abs=1e-5)  # float32 modules


def test_taking_a_term_out_of_the_vector_takes_it_off_the_margin_at_a_frozen_scale(
    clf: Classifier, tr: Trace, ledger: Ledger
) -> None:
    norm, head = clf.body.ln_f, (clf.score[ledger.target] - clf.score[ledger.other]).double()
    without = (tr.resid[-1, -1] - tr.mlp_out[1, -1]).double()
    vector = (without - without.mean()) / ledger.scale * norm.weight.double() + norm.bias.double()
    # float32 rounding of the model's margin
    assert float(vector @ head) == pytest.approx(ledger.margin - float(ledger.mlps[1]), abs=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_is_ablated_takes_its_term_off_the_margin_at_a_frozen_scale(
    clf: Classifier, tr: Trace, ledger: Ledger, layer: int, head: int
) -> None:
    """By hand from the input ids up; what later blocks wrote stays as it was."""
    body, ids, rows = clf.body, tr.input_ids, slice(5 * head, 5 * head + 5)
    allowed = torch.ones(7, 7, dtype=torch.bool).tril()
    stream = body.wte.weight[ids] + body.wpe.weight[:7]
    change = torch.zeros(10)
    for index, block in enumerate(body.h):
        query, key, value = (
            part.unflatten(-1, (2, 5)).transpose(0, 1) for part in block.attn.c_attn(block.ln_1(stream)).split(10, -1)
        )
        looked = (query @ key.mT / 5**0.5).masked_fill(~allowed, -torch.inf).softmax(-1)
        z = (looked @ value).transpose(0, 1).flatten(1)  # (pos, head × d_head)
        if index == layer:
            ablated = z[-1].clone()  # what the head writes whatever it reads is left: it is booked as attention bias
            ablated[rows] = block.attn.c_attn(block.ln_1.bias)[20:][rows]
            change = block.attn.c_proj(ablated) - block.attn.c_proj(z[-1])
        stream = stream + block.attn.c_proj(z)
        stream = stream + block.mlp(block.ln_2(stream))
    last = (stream[-1] + change).double()
    vector = (last - last.mean()) / ledger.scale * body.ln_f.weight.double() + body.ln_f.bias.double()
    without = float(vector @ (clf.score[ledger.target] - clf.score[ledger.other]).double())
    # float32 forward passes; the smallest term here is 100 times as large
    assert ledger.margin - without == pytest.approx(float(ledger.heads[layer, head]), abs=1e-5)


# --- failures ---


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (3, 0, "There is no layer 3; the layers are 0 to 2."),
        (0, 2, "There is no head 2; the heads are 0 to 1."),
        (0, "first", "A head is given by a whole number, not 'first'."),
    ],
)
def test_heads_that_do_not_exist(ledger: Ledger, layer: int, head: int, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        ledger.sources(layer, head)
    assert str(raised.value) == message


def test_classes_that_do_not_exist(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match="There is no class 'good'; the classes are LABEL_0"):
        margin_ledger(clf, tr, target="good")
