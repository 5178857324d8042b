"""The gathered evidence: what it says on paper, that it is the methods' own, and that a loop through the model gives the same."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from adapters import save_base, save_changes
from conftest import TEXT
from loops import ROUNDING, hooks, run

from gpt2cls_core import (
    Answer,
    Classifier,
    OptionError,
    Trace,
    answer,
    class_lens,
    cut_attention,
    cut_each,
    head_products,
    load_classifier,
    margin_ledger,
    trace,
)

TEXTS = [TEXT, "good", "not bad.", "bad film, good for me"]
EVERY_TEXT = pytest.mark.parametrize("text", TEXTS)


@pytest.fixture
def found(clf2: Classifier) -> Answer:
    return answer(clf2, trace(clf2, TEXT))


def with_margins(found: Answer, top_row: list[float], **changes: object) -> Answer:
    """The same answer with another verdict on every prefix."""
    margins = found.lens.margins.clone()
    margins[-1] = torch.tensor(top_row)
    return dataclasses.replace(
        found,
        lens=dataclasses.replace(found.lens, margins=margins),
        products=dataclasses.replace(found.products, margin=top_row[-1]),
        **changes,
    )


# --- by hand ---


def test_a_model_that_only_looks_up_its_last_token_bears_none_of_it_out(clf2: Classifier) -> None:
    """All weights are zero but the embedding of "good" and the head: nothing is brought, and the vector stays what it was."""
    model = copy.deepcopy(clf2.model)
    for name, parameter in model.named_parameters():
        parameter.fill_(1 if "ln_" in name and name.endswith("weight") else 0)
    pattern = torch.tensor([1.0, -1] * 5)  # mean 0 and variance 1: LayerNorm leaves it as it is
    model.transformer.wte.weight[clf2.encode("bad good").input_ids[-1]] = pattern
    model.score.weight[1] = pattern / 5
    hand = dataclasses.replace(clf2, model=model)
    found = answer(hand, trace(hand, "bad good"))
    assert found.margin == pytest.approx(2, abs=1e-4)  # 10 · 1/5; LayerNorm's ε of 1e-5 beside a variance of 1
    assert (found.cosine, found.alone.change) == (pytest.approx(1), 0)
    assert found.brought.tolist() == pytest.approx([0] * len(found.tokens), abs=1e-6)  # float32 around a margin of 2
    assert not found.rests_on_the_others
    assert found.surest == len(found.tokens) - 1


@pytest.mark.parametrize(
    ("top_row", "surest"),
    [
        ([1, 2, 5, 3, 4, 0, 4.5], 2),
        ([1, 2, 3, 3, 4, 0, 4.5], 6),
        ([9, 0, -5, -3, -4, 0, -4.5], 2),  # towards the other class it is the lowest
        ([4, 2, 3, 3, 4, 0, 4], 6),  # of equals the last
    ],
)
def test_the_surest_place_is_the_extreme_on_the_verdicts_side(found: Answer, top_row: list[float], surest: int) -> None:
    changed = with_margins(found, top_row)
    assert (changed.surest, changed.label) == (surest, changed.lens.labels[int(top_row[-1] > 0)])


def test_what_is_half_of_an_effect_on_paper(found: Answer) -> None:
    def alone(margin: float):
        return dataclasses.replace(
            found.alone, logits_clean=torch.tensor([0, 4.0]), logits_after=torch.tensor([0, margin])
        )

    row = [0.0] * 6 + [4.0]
    rests = [with_margins(found, row, alone=alone(margin)).rests_on_the_others for margin in (2.1, 2.0, 6.0, 5.9, -4)]
    assert rests == [False, True, True, False, True]
    brought = torch.tensor([0, -3, 2, 0, 0, 0, 0.0])
    direct = [torch.tensor([9, value, 0, 0, 0, 0, 0.0]) for value in (-1.4, -1.5, 1.4, 3)]
    detours = [dataclasses.replace(found, brought=brought, brought_directly=d).by_detours for d in direct]
    assert dataclasses.replace(found, brought=brought).strongest == 1
    assert detours == [True, False, True, False]


# --- identities ---


@EVERY_TEXT
def test_the_evidence_is_the_methods_own(clf2: Classifier, text: str) -> None:
    read = trace(clf2, text)
    found = answer(clf2, read)
    assert torch.equal(found.products.products, head_products(clf2, read).products)
    assert torch.equal(found.lens.margins, class_lens(clf2, read).margins)
    assert found.ledger.terms == margin_ledger(clf2, read).terms
    for route, brought in (("every", found.brought), ("direct", found.brought_directly)):
        assert brought.tolist() == (found.margin - cut_each(clf2, read, route=route)).tolist()
    if len(read.tokens) > 1:
        expected = cut_attention(clf2, read, range(len(read.tokens) - 1))
        assert found.alone.logits_after.tolist() == expected.logits_after.tolist()


@EVERY_TEXT
def test_its_parts_speak_of_one_margin(clf2: Classifier, text: str) -> None:
    read = trace(clf2, text)
    found = answer(clf2, read)
    margin = float(read.logits[1] - read.logits[0])
    told = [found.margin, found.lens.margin, found.ledger.margin, *([found.alone.margin_clean] if found.alone else [])]
    assert told == pytest.approx([margin] * len(told), abs=ROUNDING)
    assert found.label == read.label


@EVERY_TEXT
def test_the_last_token_brings_nothing_to_later_ones(clf2: Classifier, text: str) -> None:
    found = answer(clf2, trace(clf2, text))
    assert (float(found.brought[-1]), float(found.brought_directly[-1])) == (0, 0)


def test_the_chosen_class_is_explained_everywhere(clf: Classifier, tr: Trace) -> None:
    for target in range(len(clf.labels)):
        found = answer(clf, tr, target=target)
        assert {found.lens.target, found.products.target, found.ledger.target, found.alone.target} == {target}
        others = [float(tr.logits[i]) for i in range(len(clf.labels)) if i != target]
        assert found.margin == pytest.approx(float(tr.logits[target]) - max(others), abs=ROUNDING)


def test_a_single_token_has_nobody_to_be_cut_from(clf2: Classifier) -> None:
    found = answer(clf2, trace(clf2, "good"))
    assert (found.alone, found.strongest, found.by_detours, found.rests_on_the_others) == (None, None, False, False)
    assert found.surest == 0


def test_a_soft_prompt_is_no_part_of_the_text(tmp_path) -> None:
    prompted = load_classifier(save_changes(save_base(tmp_path / "base"), "prompt"))  # three virtual tokens
    for text in ("good film, but", "good"):
        read = trace(prompted, text)
        found = answer(prompted, read)
        assert (found.first, found.tokens) == (3, read.tokens)
        assert found.surest == 3 + max(
            range(len(read.tokens) - 3), key=lambda i: (float(found.lens.margins[-1, 3 + i]) * found.margin, i)
        )
        assert (found.strongest is None) == (text == "good")
        assert found.strongest is None or 3 <= found.strongest < len(read.tokens) - 1
        assert all(position > 3 for position in found.flips)
        assert found.alone.margin_after == cut_attention(prompted, read, range(len(read.tokens) - 1)).margin_after


def test_no_hook_is_left(clf2: Classifier) -> None:
    before = hooks(clf2)
    answer(clf2, trace(clf2, TEXT))
    assert hooks(clf2) == before


# --- another way ---


def test_what_is_brought_is_what_a_loop_without_it_misses(clf2: Classifier) -> None:
    read = trace(clf2, TEXT)
    found = answer(clf2, read)
    n, layers = len(read.tokens), range(clf2.n_layer)

    def margin(forbidden: list[tuple[int, int]]) -> float:
        logits, _ = run(clf2, read.input_ids, forbidden=dict.fromkeys(layers, forbidden))
        return float(logits[1] - logits[0])

    for source in range(n - 1):
        every = found.margin - margin([(query, source) for query in range(source + 1, n)])
        direct = found.margin - margin([(n - 1, source)])
        shown = [float(found.brought[source]), float(found.brought_directly[source])]
        assert shown == pytest.approx([every, direct], abs=10 * ROUNDING)  # margins of size 10 in float32
    earlier = [(n - 1, key) for key in range(n - 1)]
    assert found.alone.margin_after == pytest.approx(margin(earlier), abs=10 * ROUNDING)


def test_the_cosine_is_of_the_first_and_the_last_state(clf2: Classifier) -> None:
    read = trace(clf2, TEXT)
    states = clf2.model.transformer(read.input_ids[None], output_hidden_states=True).hidden_states
    start = states[0][0, -1].double()
    end = (states[-2][0, -1] + read.attn_out[-1, -1] + read.mlp_out[-1, -1]).double()  # states[-1] is after ln_f
    cosine = float(start @ end / start.norm() / end.norm())
    assert answer(clf2, read).cosine == pytest.approx(cosine, abs=1e-6)  # float32 states


# --- failure ---


@pytest.mark.parametrize("target", ["neutral", 2, -1])
def test_a_class_that_does_not_exist_is_refused(clf2: Classifier, target: str | int) -> None:
    with pytest.raises(OptionError, match="There is no class"):
        answer(clf2, trace(clf2, TEXT), target=target)
