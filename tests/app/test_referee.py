"""The referee's chapter draws what the library found, names who does no better than random, and says when to trust none."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from adapters import PROMPT, save_base, save_changes
from conftest import TEXT, save_tiny

from app import models
from app.chapters import judged, referee
from app.chapters.judged import NAMES
from app.palette import LIGHT
from gpt2cls_core import integrated_gradients, load_classifier, trace
from gpt2cls_core import referee as library_referee
from gpt2cls_core.faithfulness import Faithfulness
from gpt2cls_core.referee import METHODS, Contest

CUT_OR_REPLACE = pytest.mark.parametrize("removal", ["replace", "cut"])
A, B, C, D = "occlusion", "ledger", "ig-zero", "rollout"


@pytest.fixture(autouse=True)
def forget():
    """Nothing is kept from one test to the next."""
    models.kept.cache_clear()


def explained(clf, text: str = TEXT, **options) -> list:
    return list(referee.explain(clf, trace(clf, text), **options))


def contest_of(clf, text: str = TEXT, removal: str = "replace") -> Contest:
    """The library's contest with the chapter's number of points."""
    return library_referee(clf, trace(clf, text), removal=removal, points=referee.POINTS)


def text_of(runs) -> str:
    return "".join(text for text, _ in runs)


def strong(runs) -> list[str]:
    return [text for text, is_strong in runs if is_strong]


def points(figure) -> list:
    """The scatters of the two measures."""
    return [data for data in figure.data if data.mode == "markers"]


# --- a contest by hand ---


def outcome(comprehensiveness: float, sufficiency: float, order=(0, 1, 2, 3), left: float = 0.2) -> Faithfulness:
    curve = torch.tensor([0.9, 0.5, left])
    made = (
        "replace",
        1,
        (0.5,),
        tuple(order),
        (0, 2, 4),
        comprehensiveness,
        sufficiency,
        curve,
        curve.flip(0),
        0.5,
        0.5,
    )
    return Faithfulness(*made)


def by_hand(results: dict, *, agreement=None, random: float = 0.1) -> Contest:
    """Methods with these results, and three random orders around `random` in both measures."""
    drawn = torch.tensor([random - 0.01, random, random + 0.01])
    return Contest(
        removal="replace",
        label="positive",
        tokens=("a", " b", " c", " d"),
        scores={name: torch.arange(4.0) for name in results},
        results=results,
        drawn={name: drawn for name in ("comprehensiveness", "sufficiency", "deletion_area", "insertion_area")},
        random_curves=(torch.zeros(3), torch.zeros(3)),
        random_bands=(torch.zeros(2, 3), torch.zeros(2, 3)),
        agreement=torch.ones(len(results), len(results)) if agreement is None else torch.tensor(agreement),
    )


def said(clf2, results: dict, **options) -> str:
    return text_of(judged.verdict(clf2, trace(clf2, TEXT), by_hand(results, **options)))


# --- the names ---


def test_every_method_of_the_library_has_a_short_name_of_its_own():
    assert NAMES.keys() == METHODS.keys()
    assert len(set(NAMES.values())) == len(NAMES)
    assert max(map(len, NAMES.values())) <= 17, "wider ones would meet their numbers on a narrow page"
    assert set(referee.CHEAP) < NAMES.keys()
    assert not [stem for stem in referee.CHEAP if stem.startswith("ig-")]


# --- the ranking ---


@CUT_OR_REPLACE
def test_the_ranking_draws_every_method_with_both_measures_the_best_first(clf2, removal):
    contest = contest_of(clf2, removal=removal)
    figure = explained(clf2, removal=removal)[-1].figure
    for drawn, measure in zip(points(figure), judged.MEASURES, strict=True):
        assert list(drawn.y) == [NAMES[stem] for stem in contest.ranking()]
        # another number of orders in a batch may round the last digits of a float32 differently
        expected = [getattr(contest.results[stem], measure) for stem in contest.ranking()]
        assert list(drawn.x) == pytest.approx(expected, abs=1e-5)
        filled = [colour == LIGHT["ink"] for colour in drawn.marker.color]
        assert filled == [contest.beats_random(stem, measure) for stem in contest.ranking()]


def test_the_ranking_draws_where_random_orders_lie_behind_every_row(clf2):
    contest = contest_of(clf2)
    shapes = explained(clf2)[-1].figure.layout.shapes
    for axis, measure in zip(("x", "x2"), judged.MEASURES, strict=True):
        mean, low, high = contest.random[measure]
        bands = [(shape.x0, shape.x1) for shape in shapes if shape.type == "rect" and shape.xref == axis]
        means = [(shape.x0, shape.x1) for shape in shapes if shape.type == "line" and shape.xref == axis]
        assert bands == [pytest.approx((low, high), abs=1e-5)] * len(METHODS)  # as above
        assert means == [pytest.approx((mean, mean), abs=1e-5)] * len(METHODS)


def test_numbers_and_name_of_a_row_stand_above_it(clf2):
    contest = contest_of(clf2)
    notes = explained(clf2)[-1].figure.layout.annotations
    for place, stem in enumerate(contest.ranking()):
        result = contest.results[stem]
        row = [note.text for note in notes if note.y == pytest.approx(place - 0.17)]
        numbers = [f"{round(x, 2) + 0.0:.2f}" for x in (result.comprehensiveness, result.sufficiency)]
        assert row == [NAMES[stem], *numbers]


def test_the_cheap_methods_come_first_without_random_orders_and_keep_their_numbers(clf2):
    first, last = explained(clf2)
    names = {NAMES[stem] for stem in referee.CHEAP}
    early, late = (dict(zip(points(e.figure)[0].y, points(e.figure)[0].x, strict=True)) for e in (first, last))
    assert early.keys() == names
    assert early == pytest.approx({name: late[name] for name in names}, abs=1e-5)  # as above
    assert not first.figure.layout.shapes
    assert {*points(first.figure)[0].marker.color} == {LIGHT["card"]}, "nothing is judged before random orders are"
    assert strong(first.takeaway) == [str(len(names))]
    assert "on their way" in text_of(first.takeaway)
    assert "on their way" not in text_of(last.takeaway)
    waiting = [note.text for note in first.figure.layout.annotations].count("…")
    assert waiting == 2 * (len(METHODS) - len(names))


def test_a_second_look_costs_nothing_and_another_removal_is_another_contest(clf2, monkeypatch):
    read = trace(clf2, TEXT)
    *_, last = referee.explain(clf2, read)
    monkeypatch.setattr(referee, "token_scores", lambda *_args, **_options: pytest.fail("scored again"))
    (again,) = referee.explain(clf2, read)
    assert text_of(again.takeaway) == text_of(last.takeaway)
    assert len(list(referee.explain(clf2, read, view="agreement"))) == 1
    monkeypatch.undo()
    assert len(list(referee.explain(clf2, read, removal="cut"))) == 2


def test_on_a_very_long_text_the_cheap_methods_alone_are_tried_and_it_is_said(clf2, monkeypatch):
    monkeypatch.setattr(referee, "MOST", 5)
    (only,) = explained(clf2, view="ranking")
    words = text_of(only.takeaway)
    assert f"Your text has {len(trace(clf2, TEXT).tokens)} tokens" in words
    assert f"only {len(referee.CHEAP)} of {len(NAMES)} methods" in words and "up to 5 tokens" in words
    assert not only.figure.layout.shapes, "no band of random orders"


# --- curves and agreement ---


@CUT_OR_REPLACE
def test_curves_draw_the_chosen_method_strong_and_random_orders_dotted_over_their_band(clf2, removal):
    contest = contest_of(clf2, removal=removal)
    figure = explained(clf2, view="curves", removal=removal, method="ledger")[-1].figure
    deletion, insertion = ([data for data in figure.data if data.yaxis == axis] for axis in ("y", "y2"))
    for lines, name, random in ((deletion, "deletion", 0), (insertion, "insertion", 1)):
        low, high, *lines = lines
        for end, side in enumerate((low, high)):
            assert list(side.y) == pytest.approx(contest.random_bands[random][end].tolist(), abs=1e-5)
        assert high.fill == "tonexty" and high.fillcolor == LIGHT["line"]
        assert len(lines) == len(METHODS) + 1
        (bold,) = [line for line in lines if line.line.color == LIGHT["ink"]]
        assert bold.name == NAMES["ledger"]
        assert list(bold.y) == pytest.approx(getattr(contest.results["ledger"], name).tolist(), abs=1e-5)  # as above
        assert list(bold.x) == contest.results["ledger"].shares.tolist()
        (dotted,) = [line for line in lines if line.line.dash == "dot"]
        assert list(dotted.y) == pytest.approx(contest.random_curves[random].tolist(), abs=1e-5)
        area, (_, low, high) = getattr(contest.results["ledger"], f"{name}_area"), contest.random[f"{name}_area"]
        assert f"area {area:.2f} (random {low:.2f} to {high:.2f})" in figure.layout.meta["alt"]


def test_curves_are_drawn_without_random_orders_while_they_are_on_their_way(clf2):
    first = explained(clf2, view="curves")[0].figure
    assert len(first.data) == 2 * len(referee.CHEAP)
    assert "random" not in first.layout.meta["alt"]


def test_agreement_is_the_librarys_in_the_order_of_the_ranking(clf2):
    contest = contest_of(clf2)
    (table,) = explained(clf2, view="agreement")[-1].figure.data
    assert list(table.y) == [NAMES[stem] for stem in contest.ranking()]
    held = list(contest.results)
    for i, row in enumerate(contest.ranking()):
        for j, column in enumerate(contest.ranking()):
            value, expected = table.z[i][j], float(contest.agreement[held.index(row), held.index(column)])
            assert np.isnan(value) if i == j else value == pytest.approx(expected, abs=1e-6)  # float32 in the figure


def test_agreement_of_the_methods_that_are_there_comes_first(clf2):
    first = explained(clf2, view="agreement")[0].figure
    known = ~np.isnan(np.asarray(first.data[0].z))
    n = len(referee.CHEAP)
    assert known.sum() == n * (n - 1)
    assert known[:n, :n].sum() == known.sum()


def test_where_no_method_tells_tokens_apart_the_table_is_empty():
    contest = by_hand({A: outcome(0.5, 0.5), B: outcome(0.4, 0.5)}, agreement=[[np.nan] * 2] * 2)
    figure = referee._agreement(contest, A, waiting=False)
    assert np.isnan(np.asarray(figure.data[0].z)).all()
    assert set(np.asarray(figure.data[0].text).ravel()) == {""}
    assert "nan" not in figure.layout.meta["alt"]


# --- whose scores ---


def test_the_strip_shows_the_best_unless_another_is_chosen(clf2):
    contest = contest_of(clf2)
    best = explained(clf2)[-1].strip
    assert best["caption"].startswith(judged.capital(NAMES[contest.ranking()[0]]) + ":")
    models.kept.cache_clear()
    chosen = explained(clf2, method="rollout")[-1].strip
    assert chosen["caption"].startswith("Raw rollout:")
    assert chosen["scale"] == "attention"
    assert [float(item["label"]) for item in chosen["items"]] == pytest.approx(
        contest.scores["rollout"].tolist(),
        abs=0.00051,  # labels have three digits
    )


@pytest.mark.parametrize("text", ["good film", TEXT, "bad", "not for me", "me me me", "good good film"])
def test_signed_scores_wear_the_colour_of_the_class_that_they_speak_for(tmp_path, text):
    for seed in (1, 2):
        clf = load_classifier(save_tiny(tmp_path / f"{seed}", 2, seed=seed))
        read = trace(clf, text)
        if len(read.tokens) >= referee.FEWEST:
            strip = explained(clf, text, method="ig-eos")[-1].strip
            to_positive = integrated_gradients(clf, text, target=1).scores
            assert [float(item["label"]) for item in strip["items"]] == pytest.approx(to_positive.tolist(), abs=0.00051)


def test_with_more_classes_scores_speak_for_the_predicted_one(clf):
    strip = explained(clf, method="ledger")[-1].strip
    assert "for the predicted class (blue)" in strip["caption"]
    expected = contest_of(clf).scores["ledger"].tolist()
    assert [float(item["label"]) for item in strip["items"]] == pytest.approx(expected, abs=0.00051)


@pytest.mark.parametrize("view", ["ranking", "agreement"])
def test_a_pressed_row_shows_its_scores_and_a_second_press_the_best_again(clf2, view):
    figure = explained(clf2, view=view)[-1].figure
    rows = list(points(figure)[0].y if view == "ranking" else figure.data[0].y)
    assert len(rows) == len(METHODS)
    for name in rows:
        (stem,) = [stem for stem in NAMES if NAMES[stem] == name]
        pressed = {"x": 0.3, "y": name}
        assert referee.press_cell({"view": view, "method": ""}, pressed) == {"method": stem}
        assert referee.press_cell({"view": view, "method": stem}, pressed) == {"method": ""}


def test_a_press_on_a_curve_or_beside_the_rows_changes_nothing():
    assert referee.press_cell({"view": "curves", "method": ""}, {"x": 0.3, "y": 0.5}) == {}
    assert referee.press_cell({"view": "ranking", "method": ""}, {"x": 0.3, "y": None}) == {}


# --- the verdict ---


@CUT_OR_REPLACE
def test_the_takeaway_names_the_winner_and_everyone_who_does_no_better_than_random(clf2, removal):
    contest = contest_of(clf2, removal=removal)
    text = text_of(explained(clf2, removal=removal)[-1].takeaway)
    assert text.startswith(f"In the first test, taking away, {NAMES[contest.ranking()[0]]} does best here: ")
    assert judged.WAYS[removal] in text
    inside = [stem for stem in contest.ranking() if judged.beyond(contest, stem) == (False, False)]
    assert inside, "the fixture has changed"
    if len(inside) < len(METHODS):
        assert f"no better than random: {judged.listed(inside)}." in text
    else:
        assert "trust none of them" in text


def test_where_none_gets_beyond_random_none_is_trusted(clf2):
    text = said(clf2, {A: outcome(0.1, 0.1), B: outcome(0.09, 0.11)})
    assert "trust none of them" in text
    assert "Their orders" not in text


def test_methods_are_sorted_by_the_tests_in_which_they_get_beyond_random(clf2):
    text = said(clf2, {A: outcome(0.5, 0.0), B: outcome(0.4, 0.2), C: outcome(0.05, 0.0), D: outcome(0.1, 0.1)})
    assert "in both tests: occlusion. In one test only: direct writes and IG (zero)." in text
    assert "In neither, so no better than random: raw rollout." in text
    assert "No method is beyond" not in text
    text = said(clf2, {B: outcome(0.4, 0.2)})
    assert "No method is beyond 95 % of the 3 random orders in both tests. In one test only: direct writes." in text
    assert "no better than random" not in text
    text = said(clf2, {A: outcome(0.5, 0.0)})
    assert "in both tests: occlusion." in text
    assert "only" not in text


def test_the_winner_of_the_other_test_is_named_where_it_is_another(clf2):
    text = said(clf2, {A: outcome(0.5, 0.05), B: outcome(0.4, -0.02)})
    assert "the probability of positive falls by 0.50 on average; in random orders it falls by 0.10." in text
    assert "by direct writes the probability rises by 0.02" in text
    assert "different winners" in text
    text = said(clf2, {A: outcome(0.5, -0.02), B: outcome(0.4, 0.05)})
    assert "the probability rises by 0.02, and no method does better" in text
    assert "different winners" not in text


def test_what_two_digits_do_not_show_is_a_tie_and_no_move(clf2):
    text = said(clf2, {A: outcome(0.501, 0.003), B: outcome(0.499, 0.0), C: outcome(0.45, -0.001)})
    assert "Just as good: direct writes." in text
    assert "the probability stays the same, and no method does better" in text


@pytest.mark.parametrize(("left", "little"), [(0.85, True), (0.2, False), (0.95, True)])
def test_where_no_text_gets_the_same_verdict_no_ranking_is_trusted(clf2, left, little):
    assert ("much the same to no text at all" in said(clf2, {A: outcome(0.5, 0.0, left=left)})) == little


def test_luck_is_told_of_in_a_short_text_and_not_in_a_long_one(clf2, tmp_path):
    assert "With 7 tokens one random order in 7 starts with the right one" in said(clf2, {A: outcome(0.5, 0.0)})
    wide = load_classifier(save_tiny(tmp_path, 2, seed=1, context=60))
    assert len(trace(wide, "good film " * 10).tokens) >= judged.SHORT
    told = judged.verdict(wide, trace(wide, "good film " * 10), by_hand({A: outcome(0.5, 0.0)}))
    assert "luck" not in text_of(told)


def test_the_best_three_are_compared_by_their_first_token_and_by_their_orders(clf2):
    orders = {A: (1, 0, 2, 3), B: (1, 2, 0, 3), C: (1, 3, 0, 2), D: (0, 1, 2, 3)}
    results = {name: outcome(0.5 - i / 10, 0.0, order) for i, (name, order) in enumerate(orders.items())}
    correlations = np.full((4, 4), 0.9)
    correlations[3] = correlations[:, 3] = -1.0  # the fourth is not asked
    text = said(clf2, results, agreement=correlations)
    assert "The best three put “b” first. Their orders agree (rank correlation 0.90 or more)." in text
    correlations[0, 2] = correlations[2, 0] = 0.25
    text = said(clf2, {**results, C: outcome(0.3, 0.0, (3, 1, 0, 2))}, agreement=correlations)
    assert "The best three put different tokens first (“b”, “d”)." in text
    assert "Their orders disagree (rank correlation down to 0.25)" in text


def test_one_good_method_alone_is_compared_with_none(clf2):
    text = said(clf2, {A: outcome(0.5, 0.0), B: outcome(0.1, 0.1)})
    assert "Their orders" not in text
    assert "put different tokens" not in text


# --- over many texts ---


def mean(value: float, half: float = 0.01) -> dict:
    return {"comprehensiveness": {"mean": value, "low": value - half, "high": value + half}}


def test_what_was_measured_over_many_texts_is_quoted(clf2, monkeypatch):
    by_method = {A: mean(0.41), B: mean(0.33), D: mean(0.105, half=0.02), "random": mean(0.1)}
    entry = {"n": 345, "removal": {"replace": by_method}}
    monkeypatch.setattr(models, "results", lambda: {"explanations": {clf2.name: entry}})
    results = {B: outcome(0.5, 0.0), A: outcome(0.4, 0.0)}
    text = said(clf2, results)
    assert (
        "Over 345 held-out sentences occlusion does best in the first test: 0.41 on average (95 % interval 0.40 to 0.42)"
        in text
    )
    assert "random orders 0.10. The winner here, direct writes, has 0.33 there." in text
    assert text.endswith("On average no better than random: raw rollout.")
    assert "The winner here" not in said(clf2, {A: outcome(0.5, 0.0)})


@pytest.mark.parametrize("measured", [{}, {"n": 3, "removal": {"cut": {A: mean(1)}}}, {"removal": {"replace": {}}}])
def test_what_was_not_measured_is_said_to_be_so(clf2, monkeypatch, measured):
    monkeypatch.setattr(models, "results", lambda: {"explanations": {clf2.name: measured}})
    assert said(clf2, {A: outcome(0.5, 0.0)}).endswith("and one text is an anecdote.")


# --- short texts ---


@pytest.mark.parametrize(("text", "n"), [("good", 1), ("good film", 2)])
def test_one_or_two_tokens_leave_nothing_to_rank(clf2, text, n):
    assert len(trace(clf2, text).tokens) == n
    for view in ("ranking", "curves", "agreement"):
        for removal in ("replace", "cut"):
            (shown,) = explained(clf2, text, view=view, removal=removal)
            assert "nothing to rank" in text_of(shown.takeaway)
            assert strong(shown.takeaway) == []
            assert {item["label"] for item in shown.strip["items"]} == {""}


def test_three_tokens_are_ranked(clf2):
    assert len(trace(clf2, "good film but").tokens) == 3
    assert "nothing to rank" not in text_of(explained(clf2, "good film but")[-1].takeaway)


def test_the_tokens_of_a_soft_prompt_are_not_counted(tmp_path):
    clf = load_classifier(save_changes(save_base(tmp_path / "base"), "prompt"))
    assert len(trace(clf, "good film").tokens) == PROMPT["num_virtual_tokens"] + 2
    (shown,) = explained(clf, "good film")
    assert "two tokens" in text_of(shown.takeaway)
    assert re.search("one random order in 3 ", text_of(explained(clf, "good film but")[-1].takeaway))
