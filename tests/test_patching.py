"""Patching against a map on paper, its own ends, and plain hooks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from conftest import TEXT
from loops import ROUNDING, hooks, run
from test_interventions import copying

from gpt2cls_core import (
    Classifier,
    OptionError,
    PatchGrid,
    Trace,
    check_pair,
    patch_grid,
    patch_grid_rows,
    patch_states,
    swap_word,
    trace,
)
from gpt2cls_core import resume as resuming

LONG = "good film, but not for me, bad film"  # 10 tokens: more than one batch


@pytest.fixture(scope="module")
def corrupted(clf: Classifier, tr: Trace) -> Trace:
    """TEXT with " not" (token 4) made " bad"."""
    return trace(clf, swap_word(tr, 4, "bad"))


# --- by hand ---


def test_a_map_on_paper(clf2: Classifier) -> None:
    """The first block copies from all positions alike; above it nothing moves."""
    by_hand = copying(clf2)
    clean, corrupted = trace(by_hand, "good not film"), trace(by_hand, "good but film")
    grid = patch_grid(by_hand, clean, corrupted)
    # " not" is p, the others are q: the last vector is q + (2 q + p) / 3 = (5 q + p) / 3, of deviation sqrt(26) / 3.
    assert (grid.margin_clean, grid.margin_corrupted) == pytest.approx((26**-0.5, 0), abs=1e-5)  # ln_f's ε
    expected = torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    torch.testing.assert_close(grid.effects, expected, atol=1e-4, rtol=0)  # ε, over a margin of 0.2


# --- identities ---


def test_patching_with_its_own_states_is_a_no_op(clf: Classifier, tr: Trace) -> None:
    cells = [(layer, position) for layer in range(4) for position in range(7)]
    assert patch_states(clf, tr, tr, cells).change == 0
    grid = patch_grid(clf, tr, tr)
    assert (grid.margins == grid.margin_clean).all()
    assert grid.margin_corrupted == grid.margin_clean
    assert grid.effects.isnan().all(), "there is no way from one margin to the same"


def test_the_top_right_cell_and_the_whole_bottom_row_give_the_clean_margin(
    clf: Classifier, tr: Trace, corrupted: Trace
) -> None:
    assert patch_states(clf, tr, corrupted, [(2, 5)]).resid[2, 5].equal(tr.resid[2, 5])
    for cells in ([(3, 6)], [(-1, -1)], [(0, 4)], [(0, position) for position in range(7)]):
        effect = patch_states(clf, tr, corrupted, cells)
        assert effect.logits_clean.equal(corrupted.logits)
        torch.testing.assert_close(effect.logits_after, tr.logits, atol=ROUNDING, rtol=0)
    grid = patch_grid(clf, tr, corrupted)
    assert float(grid.margins[-1, -1]) == pytest.approx(grid.margin_clean, abs=1e-6)  # stored as float32
    assert float(grid.effects[-1, -1]) == pytest.approx(1, abs=1e-6)  # float32
    # One word differs, so its embedding is all that does.
    assert float(grid.effects[0, 4]) == pytest.approx(1, abs=1e-4)  # float32, over a margin that moves by 0.1


def test_all_differing_positions_of_the_bottom_row_give_the_clean_margin(clf: Classifier, tr: Trace) -> None:
    other = trace(clf, "a film. bad not good me".replace(" good", " film"))
    assert len(other.tokens) == 7
    differ = [i for i in range(7) if tr.input_ids[i] != other.input_ids[i]]
    assert len(differ) == 4
    effect = patch_states(clf, tr, other, [(0, position) for position in differ])
    torch.testing.assert_close(effect.logits_after, tr.logits, atol=ROUNDING, rtol=0)
    some = patch_states(clf, tr, other, [(0, position) for position in differ[1:]])
    assert (some.logits_after - tr.logits).abs().max() > 0.01


def test_cells_that_hold_the_same_or_are_never_read_give_exactly_0(
    clf: Classifier, tr: Trace, corrupted: Trace
) -> None:
    effects = patch_grid(clf, tr, corrupted).effects
    assert (effects[:, :4] == 0).all(), "before the swapped word both runs are the same"
    assert (effects[0, 5:] == 0).all(), "the same tokens stand there"
    assert (effects[-1, :-1] == 0).all(), "at the top only the last position is read"
    assert (effects[1:-1, 4:] != 0).all()
    assert not torch.signbit(effects[effects == 0]).any(), "no −0"


def test_the_way_back_is_the_same_way(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    there, back = patch_grid(clf, tr, corrupted, target=1), patch_grid(clf, corrupted, tr, target=1)
    assert there.other == back.other
    assert (there.margin_clean, there.margin_corrupted) == (back.margin_corrupted, back.margin_clean)
    assert (there.tokens_clean, there.tokens_corrupted) == (back.tokens_corrupted, back.tokens_clean)
    assert there.tokens_corrupted[4] == " bad"


def test_the_class_explained_is_the_clean_texts(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    turned = dataclasses.replace(corrupted, logits=corrupted.logits.flip(0))  # another class wins
    assert int(turned.logits.argmax()) != int(tr.logits.argmax())
    rival = int(tr.logits.argsort()[-2])
    for found in (patch_grid(clf, tr, turned), patch_states(clf, tr, turned, [(1, 4)])):
        assert (found.target, found.other) == (int(tr.logits.argmax()), rival)


def test_rows_come_from_the_top_and_end_in_the_whole_grid(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    grids = list(patch_grid_rows(clf, tr, corrupted))
    assert [grid.rows_done for grid in grids] == [1, 2, 3, 4]
    whole = patch_grid(clf, tr, corrupted).margins
    for done, grid in enumerate(grids, 1):
        assert grid.margins[-done:].equal(whole[-done:])
        assert grid.margins[:-done].isnan().all()
        assert grid.effects.isnan().equal(grid.margins.isnan())


def test_values_are_not_clipped() -> None:
    margins = torch.tensor([[1.0, -2, 5, torch.nan]])
    grid = PatchGrid(("a",) * 4, ("b",) * 4, ("n", "p"), 1, 0, 3.0, -1.0, margins)
    torch.testing.assert_close(grid.effects, torch.tensor([[0.5, -0.25, 1.5, torch.nan]]), equal_nan=True)
    assert grid.rows_done == 0


def test_no_hook_is_left_also_after_an_exception(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    before = hooks(clf)

    def fail(_module: object, _inputs: object) -> None:
        raise RuntimeError("on purpose")

    handle = clf.body.ln_f.register_forward_pre_hook(fail)
    for action in (lambda: patch_states(clf, tr, corrupted, [(1, 4)]), lambda: patch_grid(clf, tr, corrupted)):
        with pytest.raises(RuntimeError, match="on purpose"):
            action()
    handle.remove()
    patch_states(clf, tr, corrupted, [(1, 4)])
    assert hooks(clf) == before
    assert trace(clf, TEXT).logits.equal(tr.logits)


# --- against plain hooks, and a model in loops ---


@pytest.mark.parametrize("tokens_at_once", [1, 25, 2048])
def test_every_cell_against_a_hook_on_the_model(
    clf: Classifier, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "TOKENS_AT_ONCE", tokens_at_once)
    clean = trace(clf, LONG)
    corrupted = trace(clf, swap_word(clean, 1, "bad"))
    grid = patch_grid(clf, clean, corrupted, target=2)
    modules = [clf.body.drop, *clf.body.h]
    for layer in range(4):
        for position in range(10):

            def write(_module: object, _inputs: object, stream: torch.Tensor, cell=(layer, position)) -> None:
                stream[0, cell[1]] = clean.resid[cell]  # in place, as it runs

            handle = modules[layer].register_forward_hook(write)
            with torch.no_grad():
                hidden = clf.body(corrupted.input_ids[None]).last_hidden_state
                logits = clf.model.score(hidden[0, -1])
            handle.remove()
            expected = float(logits[2] - logits[grid.other])
            assert float(grid.margins[layer, position]) == pytest.approx(expected, abs=ROUNDING)
            effect = patch_states(clf, clean, corrupted, [(layer, position)], target=2)
            assert effect.margin_after == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("cells", [[(1, 4)], [(2, 5), (1, 4)], [(0, 4), (2, 6), (2, 4)], [(1, 4), (1, 5), (1, 6)]])
def test_several_cells_at_once_against_loops(clf: Classifier, tr: Trace, corrupted: Trace, cells: list) -> None:
    effect = patch_states(clf, tr, corrupted, cells)
    logits, _ = run(clf, corrupted.input_ids, written={cell: tr.resid[cell] for cell in cells})
    torch.testing.assert_close(effect.logits_after.double(), logits, atol=ROUNDING, rtol=0)
    assert effect.name == f"{len(cells)} cell{'s' if len(cells) > 1 else ''} copied from the other text"


# --- making a pair ---


@pytest.mark.parametrize(
    ("text", "word", "new", "expected"),
    [
        (TEXT, 0, "bad", "bad film, but not for me"),
        (TEXT, 2, ";", "good film; but not for me"),
        (TEXT, -1, " you ", "good film, but not for you"),
        ("  good\n\tfilm ", 5, "plot", "  good\n\tplot "),
        ("good 👍 film 👍", 3, "me", "good 👍 me 👍"),
        ("don't go", 0, "do", "do go"),
        ("film, but film", 3, "plot", "film, but plot"),
    ],
)
def test_one_word_is_swapped_and_all_else_stays(clf: Classifier, text: str, word: int, new: str, expected: str) -> None:
    read = clf.encode(text)
    assert swap_word(read, word, new) == expected
    assert swap_word(trace(clf, read), word, new) == expected


def test_every_word_swapped_for_itself_is_the_text(clf: Classifier) -> None:
    for text in (TEXT, "good 👍!? (well-made) film’s", "Ünï  ça\n.", "not not\tnot"):
        read = clf.encode(text)
        for index, word in enumerate(read.words):
            if word.text.strip():
                assert swap_word(read, index, word.text) == text


@pytest.mark.parametrize(
    ("text", "word", "new", "message"),
    [
        (TEXT, 7, "x", "There is no word 7; the words are 0 to 6."),
        (TEXT, 0, "  ", "Give a word to write in the place of “good”."),
        ("good\n\nfilm", 1, "x", "Word 1 is only a blank; choose one that can be read."),
    ],
)
def test_words_that_cannot_be_swapped(clf: Classifier, text: str, word: int, new: str, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        swap_word(clf.encode(text), word, new)
    assert str(raised.value) == message


def test_texts_of_other_lengths_are_told_what_to_change(clf: Classifier, tr: Trace) -> None:
    cases = {
        "good films, but not for me": (
            "Patching needs two texts with as many tokens; these have 7 and 8. “film” is 1 token and “films” 2. "
            "Swap a word for one with as many tokens."
        ),
        "good film": (
            "Patching needs two texts with as many tokens; these have 7 and 2. Swap a word for one with as many tokens."
        ),
    }
    for text, message in cases.items():
        other = trace(clf, text)
        actions = (
            lambda other=other: check_pair(tr, other),
            lambda other=other: check_pair(tr.encoding, other.encoding),
            lambda other=other: patch_states(clf, tr, other, [(0, 0)]),
            lambda other=other: patch_grid(clf, tr, other),
            lambda other=other: patch_grid_rows(clf, tr, other),  # at the call, not at the first row
        )
        for action in actions:
            with pytest.raises(OptionError) as raised:
                action()
            assert str(raised.value) == message
    check_pair(tr, trace(clf, "good film, but not for me"))


def test_the_longer_word_may_be_the_clean_one(clf: Classifier) -> None:
    with pytest.raises(OptionError, match="“films” is 2 tokens and “film” 1"):
        check_pair(clf.encode("good films"), clf.encode("good film"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "There is no cell to copy; choose one or more."),
        ([(4, 0)], "There is no layer 4; the layers are 0 to 3."),
        ([(0, 7)], "There is no token 7; the tokens are 0 to 6."),
    ],
)
def test_cells_that_do_not_exist(clf: Classifier, tr: Trace, corrupted: Trace, cells: list, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        patch_states(clf, tr, corrupted, cells)
    assert str(raised.value) == message


def test_classes_that_do_not_exist(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    with pytest.raises(OptionError, match="There is no class 5; the classes are 0 to 4"):
        patch_grid_rows(clf, tr, corrupted, target=5)


def test_results_hold_no_model(clf: Classifier, tr: Trace, corrupted: Trace) -> None:
    grid = patch_grid(clf, tr, corrupted)
    held = [getattr(grid, field.name) for field in dataclasses.fields(grid)]
    assert {type(value) for value in held} == {tuple, int, float, torch.Tensor}
    assert not grid.margins.is_inference()
