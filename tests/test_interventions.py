"""Cutting and reading elsewhere, against numbers on paper, a model in loops, and the classifier on shorter texts."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from conftest import TEXT, randomise, tiny_config
from loops import ROUNDING, copying, hooks, run
from torch import Tensor, nn
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import (
    Classifier,
    InterventionEffect,
    OptionError,
    Trace,
    class_lens,
    cut_attention,
    cut_each,
    cut_each_steps,
    read_out_at,
    read_out_changes,
    swap_word,
    trace,
)
from gpt2cls_core import resume as resuming
from gpt2cls_core.edits import cut_edits, edited, run_edited
from gpt2cls_core.effect import trace_with
from gpt2cls_core.lens import head_logits
from gpt2cls_core.soft_prompt import PromptedEmbedding
from gpt2cls_core.trace import forward_hooks

ROUTES = ["every", "direct"]


def pairs(sources: list[int], route: str, n_tokens: int) -> list[tuple[int, int]]:
    queries = range(n_tokens) if route == "every" else [n_tokens - 1]
    return [(query, key) for query in queries for key in sources if query > key]


def margin(effect: InterventionEffect, logits: Tensor) -> float:
    return float(logits[effect.target] - logits[effect.other])


# --- by hand ---


@pytest.mark.parametrize("route", ROUTES)
def test_cutting_on_paper(clf2: Classifier, route: str) -> None:
    by_hand = copying(clf2)
    read = trace(by_hand, "bad not film")  # b, a, d, " not", " film": q q q p q
    # The last vector: q + (4 q + p) / 5 = (9 q + p) / 5, of standard deviation sqrt(82) / 5.
    clean = 82**-0.5
    # Without one q: q + (3 q + p) / 4 = (7 q + p) / 4. The other weights have grown from 1/5 to 1/4.
    without_q = cut_attention(by_hand, read, [0], route=route)
    assert (without_q.margin_clean, without_q.margin_after) == pytest.approx((clean, 50**-0.5), abs=1e-5)  # ln_f's ε
    # Without three of them: q + (q + p) / 2. Without p: 2 q, where nothing lies along p.
    assert cut_attention(by_hand, read, [0, 1, 2], route=route).margin_after == pytest.approx(10**-0.5, abs=1e-5)
    assert cut_attention(by_hand, read, [3], route=route).margin_after == pytest.approx(0, abs=1e-6)
    assert cut_attention(by_hand, read, [3], route=route, layers=[1, 2]).margin_after == pytest.approx(clean, abs=1e-5)
    each = cut_each(by_hand, read, route=route)
    assert each.tolist() == pytest.approx([50**-0.5] * 3 + [0, clean], abs=1e-5)


def test_reading_elsewhere_on_paper(clf2: Classifier) -> None:
    by_hand = copying(clf2)
    read = trace(by_hand, "bad not film")
    # Position 3 holds p + (3 q + p) / 4 = (3 q + 5 p) / 4; those before it hold 2 q; the last (9 q + p) / 5.
    margins = [0, 0, 0, 5 * 34**-0.5, 82**-0.5]
    assert [read_out_at(by_hand, read, i).margin_after for i in range(5)] == pytest.approx(margins, abs=1e-5)  # ε
    assert read_out_at(by_hand, read, "first").margin_after == pytest.approx(0, abs=1e-6)
    assert read_out_at(by_hand, read, "middle").margin_after == pytest.approx(0, abs=1e-6)
    assert read_out_at(by_hand, read, "mean").margin_after == pytest.approx(sum(margins) / 5, abs=1e-5)


def test_an_effect_says_what_changed() -> None:
    logits = torch.tensor([1.0, 3, 0]), torch.tensor([2.0, 1, 0.5])
    effect = InterventionEffect("x", ("a",), ("n", "p", "z"), 1, 0, *logits, torch.zeros(2, 1, 4))
    assert (effect.margin_clean, effect.margin_after, effect.change) == (2, -1, -3)
    assert (effect.label_clean, effect.label_after, effect.flipped) == ("p", "n", True)
    assert not dataclasses.replace(effect, logits_after=torch.tensor([0.0, 1, 0.5])).flipped


# --- identities ---


@pytest.mark.parametrize("route", ROUTES)
def test_all_cut_leaves_the_last_word_attention_1_on_itself(clf: Classifier, tr: Trace, route: str) -> None:
    looked: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: tuple) -> None:
        looked.append(output[1][0, :, -1])

    allowed = torch.eye(7, dtype=torch.bool) if route == "every" else torch.ones(7, 7, dtype=torch.bool).tril()
    allowed[-1, :-1] = False
    with edited(cut_edits(clf, allowed, range(3))), forward_hooks(*[(block.attn, keep) for block in clf.body.h]):
        run_edited(clf, tr.input_ids[None], [])
    assert torch.stack(looked).equal(torch.eye(7)[-1].expand(3, 2, 7))
    effect = cut_attention(clf, tr, range(6), route=route)
    with torch.no_grad():  # the last token alone, in its own place
        alone = clf.body(input_ids=tr.input_ids[-1:][None], position_ids=torch.tensor([[6]])).last_hidden_state
        torch.testing.assert_close(effect.logits_after, clf.model.score(alone[0, 0]), atol=ROUNDING, rtol=0)


def test_what_is_cut_by_every_route_could_be_any_token(clf: Classifier, tr: Trace) -> None:
    other = trace(clf, swap_word(tr, 4, "bad"))
    assert (other.tokens[4], len(other.tokens)) == (" bad", 7)
    assert cut_attention(clf, tr, [4]).logits_after.equal(cut_attention(clf, other, [4]).logits_after)
    direct = [cut_attention(clf, t, [4], route="direct").logits_after for t in (tr, other)]
    assert (direct[1] - direct[0]).abs().max() > 1e-4, "by route direct, later tokens pass on what they read"


def test_in_one_block_or_at_the_last_source_both_routes_are_one(clf: Classifier, tr: Trace) -> None:
    top = [cut_attention(clf, tr, [0, 3], route=route, layers=[2]).logits_after for route in ROUTES]
    torch.testing.assert_close(top[0], top[1], atol=ROUNDING, rtol=0)
    last = [cut_attention(clf, tr, [5], route=route).logits_after for route in ROUTES]
    assert last[0].equal(last[1]), "only the last position comes after it"


def test_the_stream_afterwards_is_that_of_the_run(clf: Classifier, tr: Trace) -> None:
    effect = cut_attention(clf, tr, [2], layers=[1])
    assert head_logits(clf, effect.resid[-1, -1]).equal(effect.logits_after)
    assert effect.resid[:2].equal(tr.resid[:2]), "below the cut nothing has changed"
    assert effect.resid[:, :3].equal(tr.resid[:, :3]), "nor before the first reader"
    assert (effect.resid[2:, 3:] != tr.resid[2:, 3:]).any(-1).all()
    assert read_out_at(clf, tr, 2).resid.equal(tr.resid)
    inside = trace_with(clf, tr, cut_edits(clf, torch.eye(7, dtype=torch.bool), range(3)))
    assert inside.attention.equal(torch.eye(7).expand(3, 2, 7, 7))
    assert inside.encoding is tr.encoding


def test_a_soft_prompt_can_be_cut_and_is_no_text(clf: Classifier) -> None:
    model = copy.deepcopy(clf.model)
    prompt = torch.randn(2, 10, generator=torch.Generator().manual_seed(3))
    model.transformer.wte = PromptedEmbedding(model.transformer.wte, nn.Parameter(prompt, requires_grad=False))
    prompted = dataclasses.replace(clf, model=model)
    read = trace(prompted, "good film, but")
    assert (len(read.tokens), read.encoding.n_virtual) == (6, 2)
    for place, position in (("first", 2), ("middle", 3), ("last", 5)):
        assert read_out_at(prompted, read, place).logits_after.equal(read_out_at(prompted, read, position).logits_after)
    with torch.no_grad():
        mean = prompted.model.score(prompted.body.ln_f(read.resid[-1, 2:]).mean(0))
    torch.testing.assert_close(read_out_at(prompted, read, "mean").logits_after, mean, atol=ROUNDING, rtol=0)
    # With the prompt cut, the text is read as without it, but for its places.
    effect = cut_attention(prompted, read, [0, 1])
    with torch.no_grad():
        ids, places = clf.encode("good film, but").input_ids[None], torch.arange(2, 6)[None]
        logits = clf.model.score(clf.body(ids, position_ids=places).last_hidden_state[0, -1])
    torch.testing.assert_close(effect.logits_after, logits, atol=ROUNDING, rtol=0)
    assert float(cut_each(prompted, read)[1]) == pytest.approx(
        cut_attention(prompted, read, [1]).margin_after, abs=ROUNDING
    )
    with pytest.raises(OptionError, match="Word 1 is a virtual token of the soft prompt and stands in no text"):
        swap_word(read, 1, "bad")
    assert swap_word(read, 2, "bad") == "bad film, but"


def test_an_edit_that_changes_nothing_gives_the_very_same_logits(clf: Classifier, tr: Trace) -> None:
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    hidden = run_edited(clf, tr.input_ids[None], cut_edits(clf, causal, range(3)))
    assert clf.model.score(hidden[0, -1]).equal(tr.logits)


@pytest.mark.parametrize("route", ["every", "direct"])
def test_the_steps_of_cut_each_come_from_the_end_and_lead_to_the_same(clf: Classifier, tr: Trace, route: str) -> None:
    steps = list(cut_each_steps(clf, tr, route=route))
    expected = cut_each(clf, tr, route=route)
    for step in steps:
        unknown = int(step.isnan().sum())
        assert step[unknown:].tolist() == expected[unknown:].tolist()
    assert steps[0].isnan().tolist() == [True] * (len(tr.tokens) - 1) + [False]
    assert not steps[-1].isnan().any()
    with pytest.raises(OptionError, match="route"):
        cut_each_steps(clf, tr, route="roundabout")


def test_the_last_entry_of_cut_each_is_the_margin_as_it_is(clf: Classifier, tr: Trace) -> None:
    for route in ROUTES:
        effect = cut_attention(clf, tr, [0], route=route)
        assert float(cut_each(clf, tr, route=route)[-1]) == effect.margin_clean
    alone = trace(clf, "good")
    assert cut_each(clf, alone).shape == (1,)


def test_the_last_read_at_the_last_changes_nothing_and_at_a_prefix_gives_its_verdict(
    clf: Classifier, tr: Trace
) -> None:
    assert read_out_at(clf, tr, "last").change == 0
    assert read_out_at(clf, tr, -1).logits_after.equal(tr.logits)
    top = class_lens(clf, tr).margins[-1]
    for position in range(7):
        effect = read_out_at(clf, tr, position)
        assert effect.margin_after == pytest.approx(float(top[position]), abs=ROUNDING)
        end = tr.offsets[position][1]
        prefix = trace(clf, TEXT[:end])
        torch.testing.assert_close(effect.logits_after, prefix.logits, atol=ROUNDING, rtol=0)
    assert read_out_at(clf, tr, "middle").logits_after.equal(read_out_at(clf, tr, 3).logits_after)
    assert read_out_at(clf, tr, "first").logits_after.equal(read_out_at(clf, tr, 0).logits_after)


@pytest.mark.parametrize("word", range(7))
def test_an_edit_after_the_place_of_reading_changes_exactly_nothing(clf: Classifier, tr: Trace, word: int) -> None:
    edited_text = trace(clf, swap_word(tr, word, {0: "a", 2: "."}.get(word, "bad")))
    assert len(edited_text.tokens) == 7, "of one length, so that the same sums are formed"
    for position in range(word):
        before, after = (read_out_at(clf, t, position, target=0).margin_after for t in (tr, edited_text))
        assert after - before == 0
    changes = read_out_changes(clf, tr, edited_text)
    assert changes[:word].tolist() == [0] * word
    assert (changes[word:] != 0).all()
    assert read_out_at(clf, tr, "mean").logits_after.ne(read_out_at(clf, edited_text, "mean").logits_after).any()


@pytest.mark.parametrize("text", ["good film, but", "good film, but not for me, good film", "good film, but not"])
def test_what_comes_later_changes_exactly_nothing_at_other_lengths_too(clf: Classifier, tr: Trace, text: str) -> None:
    shorter_or_longer = trace(clf, text)
    assert len(shorter_or_longer.tokens) != 7
    for before, after in ((tr, shorter_or_longer), (shorter_or_longer, tr)):
        changes = read_out_changes(clf, before, after)
        assert changes.tolist() == [0] * min(7, len(shorter_or_longer.tokens))


def test_no_hook_is_left_also_after_an_exception(clf: Classifier, tr: Trace) -> None:
    before = hooks(clf)

    def fail(_module: object, _inputs: object) -> None:
        assert hooks(clf) > before + 1, "the edits are in force"
        raise RuntimeError("on purpose")

    handle = clf.body.ln_f.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        cut_attention(clf, tr, [0])
    handle.remove()
    assert hooks(clf) == before
    cut_attention(clf, tr, [0])
    assert hooks(clf) == before
    torch.testing.assert_close(trace(clf, TEXT).logits, tr.logits, atol=0, rtol=0)


def test_hooks_that_were_set_are_removed_when_a_later_one_cannot_be(clf: Classifier) -> None:
    before = hooks(clf)

    def broken() -> None:
        raise RuntimeError("on purpose")

    good = cut_edits(clf, torch.eye(7, dtype=torch.bool), [0])
    with pytest.raises(RuntimeError, match="on purpose"), edited([*good, broken]):
        pass
    assert hooks(clf) == before


# --- against a model in loops ---


def test_the_loops_are_the_model(clf: Classifier, tr: Trace) -> None:
    logits, attention = run(clf, tr.input_ids)
    torch.testing.assert_close(tr.logits.double(), logits, atol=ROUNDING, rtol=0)
    torch.testing.assert_close(tr.attention.double(), attention, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("layers", [None, [0], [2, 1], [-1], [0, 2]])
@pytest.mark.parametrize("sources", [[0], [2, 5], [4, 1, 0], range(6)])
def test_cutting_against_loops(clf: Classifier, tr: Trace, route: str, layers: list[int] | None, sources: list) -> None:
    effect = cut_attention(clf, tr, sources, route=route, layers=layers)
    forbidden = {layer % 3: pairs(list(sources), route, 7) for layer in (range(3) if layers is None else layers)}
    logits, _ = run(clf, tr.input_ids, forbidden=forbidden)
    torch.testing.assert_close(effect.logits_after.double(), logits, atol=ROUNDING, rtol=0)
    assert effect.change == pytest.approx(margin(effect, logits) - effect.margin_clean, abs=ROUNDING)


@pytest.mark.parametrize("tokens_at_once", [1, 15, 2048])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("layers", [None, [1], [0, 2]])
def test_each_cut_of_a_batch_against_loops(
    clf: Classifier, route: str, layers: list[int] | None, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "TOKENS_AT_ONCE", tokens_at_once)
    read = trace(clf, "good film, but not for me, bad film")  # 10 tokens: more than one batch
    each = cut_each(clf, read, route=route, layers=layers, target=3)
    for position in range(9):
        forbidden = dict.fromkeys(range(3) if layers is None else layers, pairs([position], route, 10))
        logits, _ = run(clf, read.input_ids, forbidden=forbidden)
        other = cut_attention(clf, read, [position], target=3).other
        assert float(each[position]) == pytest.approx(float(logits[3] - logits[other]), abs=ROUNDING)


@pytest.mark.parametrize(
    "options",
    [{"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}, {"reorder_and_upcast_attn": True}],
)
def test_fast_and_whole_runs_agree_where_attention_is_scaled_otherwise(clf: Classifier, options: dict) -> None:
    model = randomise(GPT2ForSequenceClassification(tiny_config(attn_implementation="eager", **options)))
    other = dataclasses.replace(clf, model=model.eval().requires_grad_(False))
    read = trace(other, TEXT)
    usual = trace(clf, TEXT)
    assert read.logits.equal(usual.logits) == ("reorder_and_upcast_attn" in options), "the option matters"
    for route in ROUTES:
        expected = [cut_attention(other, read, [position], route=route).margin_after for position in range(6)]
        assert cut_each(other, read, route=route)[:6].tolist() == pytest.approx(expected, abs=ROUNDING)


# --- names and failures ---


def test_names_count_from_1(clf: Classifier, tr: Trace) -> None:
    names = [
        cut_attention(clf, tr, [0]).name,
        cut_attention(clf, tr, [0, 1], route="direct", layers=[1, 2]).name,
        cut_attention(clf, tr, [0], layers=[1]).name,
        cut_attention(clf, tr, [0], layers=[0, 2]).name,
        read_out_at(clf, tr, "first").name,
        read_out_at(clf, tr, "mean").name,
    ]
    assert names == [
        "1 token cut from every later position",
        "2 tokens cut from the last position in layers 2 to 3",
        "1 token cut from every later position in layer 2",
        "1 token cut from every later position in layers 1, 3",
        "token 1 of 7 read",
        "mean of all tokens read",
    ]


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ([], {}, "Nothing is cut yet; choose one or more tokens before the last."),
        ([7], {}, "There is no token 7; the tokens are 0 to 6."),
        (["good"], {}, "A token is given by a whole number, not 'good'."),
        (
            range(7),
            {},
            "Token 6 is the last one and can't be cut: nothing comes after it, and a token always reads itself. "
            "Choose earlier ones; all of them leave only the last word.",
        ),
        ([0], {"layers": []}, "There is no layer to cut in; choose one or more, or None for all."),
        ([0], {"layers": [3]}, "There is no layer 3; the layers are 0 to 2."),
        ([0], {"route": "indirect"}, 'There is no route \'indirect\'; choose "every" or "direct".'),
        ([0], {"target": 5}, "There is no class 5; the classes are 0 to 4."),
    ],
)
def test_cuts_that_cannot_be(clf: Classifier, tr: Trace, sources: list, options: dict, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        cut_attention(clf, tr, sources, **options)
    assert str(raised.value) == message
    if options:
        with pytest.raises(OptionError) as raised:
            cut_each(clf, tr, **options)
        assert str(raised.value) == message


def test_a_single_token_has_nothing_to_cut(clf: Classifier) -> None:
    with pytest.raises(OptionError, match="The text has one token only, so there is nothing to cut"):
        cut_attention(clf, trace(clf, "good"), [])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("end", "There is no place 'end'; choose one of last, first, middle, mean, or a position."),
        (7, "There is no token 7; the tokens are 0 to 6."),
        (1.5, "A token is given by a whole number, not 1.5."),
    ],
)
def test_places_that_do_not_exist(clf: Classifier, tr: Trace, where: object, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        read_out_at(clf, tr, where)
    assert str(raised.value) == message
