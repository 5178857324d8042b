"""The chapter on what was trained says what the library reads and what the results hold, and owns up to what they do not."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from conftest import TEXT, randomise, tiny_config, tiny_tokenizer
from transformers import GPT2LMHeadModel

from app import models
from app.chapters import regimes
from app.chapters.learned import PANELS
from app.chapters.study import BAG
from app.figures.curves import apart
from app.figures.layers import side_by_side_figure
from app.palette import LIGHT
from gpt2cls_core import (
    Classifier,
    FrozenFeatures,
    LanguageModel,
    judge,
    load_classifier,
    read_regimes,
    read_states,
    trace,
    train_head,
)
from gpt2cls_core.frozen_features import PLACES, Norm, pack
from gpt2cls_core.training.options import RegimesOptions
from gpt2cls_core.training.summary import summarise

SPLITS = ("sst2/validation", "imdb/test")
VIEWS = [value for _, value in regimes.VIEWS]


def seeds(mean: float, half: float | None = 0.01) -> dict:
    """A mean over seeds as the study writes it."""
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high, "seeds": [mean] * (1 if half is None else 3), "n": 400}


def row(mean: float, other: float, trained: int, **more: object) -> dict:
    accuracy = dict(zip(SPLITS, (seeds(mean), seeds(other)), strict=True))
    share = {"parameters": 1000, "trained_parameters": trained, "trained_share": trained / 1000}
    return {"texts": 2048, "stored_bytes": 2 * trained, "seconds": 90.0, "accuracy": accuracy, **share, **more}


def read_outs(**means: float) -> dict:
    return {place: {SPLITS[0]: seeds(mean)} for place, mean in means.items()}


STUDY = {
    "data": ["sst2"],
    "search": {regime: [{}] * 4 for regime in ("head", "lora", "prompt", "full", "random")},
    "table": {
        "head": row(0.75, 0.72, 8, c=0.1, passes=1),
        "full": row(0.80, 0.70, 1000, learning_rate=1e-3, passes=3),
        "lora": row(0.79, 0.71, 40, learning_rate=3e-3, passes=3),
        "prompt": row(0.60, 0.55, 20, learning_rate=3e-2, passes=3),
        "random": row(0.70, 0.60, 1000, learning_rate=1e-3, passes=3),
        "bag-of-words": row(0.76, 0.73, 500, seconds=0.2),
    },
    "curves": {
        "head": [{"texts": n, **seeds(mean)} for n, mean in ((32, 0.6), (128, 0.7), (2048, 0.75))],
        "full": [{"texts": n, **seeds(mean)} for n, mean in ((32, 0.65), (128, 0.66), (2048, 0.8))],
        "random": [{"texts": n, **seeds(mean)} for n, mean in ((32, 0.5), (128, 0.55), (2048, 0.7))],
        "bag-of-words": [{"texts": n, **seeds(mean)} for n, mean in ((32, 0.55), (128, 0.6), (2048, 0.76))],
    },
    "read_outs": {
        "head": read_outs(last=0.75, first=0.52, mean=0.74, middle=0.65),
        "full": read_outs(last=0.80, first=0.51, mean=0.81, middle=0.7),
    },
    "majority": {split: {"accuracy": 0.51, "low": 0.47, "high": 0.55, "n": 400} for split in SPLITS},
}
POINTS = [
    {"tokens": 0, "held_out_loss": 9.0, "probe_accuracy": 0.52},
    {"tokens": 18e6, "held_out_loss": 4.2, "probe_accuracy": 0.76},
]
PRETRAINING = {
    "curve": POINTS,
    "probe": {"train": 6000, "held_out": 800},
    "probe_baseline_bag_of_words": {"accuracy": 0.75, "low": 0.72, "high": 0.78, "n": 800},
}
MAP = {
    "n_held_out": 800,
    "positions": [0.0, 0.5, 1.0],
    "base": [[0.50, 0.51, 0.52], [0.51, 0.60, 0.70], [0.52, 0.62, 0.76]],
    "full": [[0.50, 0.52, 0.52], [0.51, 0.62, 0.83], [0.52, 0.64, 0.84]],
    "shuffled": [[0.48, 0.50, 0.50], [0.50, 0.50, 0.51], [0.50, 0.50, 0.50]],
}


@pytest.fixture
def results(monkeypatch) -> dict:
    """Results of our own, which a test may change."""
    ours = {"regimes": copy.deepcopy(STUDY), "pretraining": copy.deepcopy(PRETRAINING), "label_map": copy.deepcopy(MAP)}
    monkeypatch.setattr(models, "results", lambda: ours)
    return ours


@pytest.fixture
def others(clf2, monkeypatch) -> list[Classifier]:
    """The tiny classifier between two bundled ones that say other things, as the page would find them."""
    half = trace(clf2, TEXT).logits
    made = []
    for name, sign in (("head", -1.0), ("lora", 1.0)):
        model = copy.deepcopy(clf2.model)
        with torch.no_grad():
            model.score.weight.mul_(sign * (1 if float(half.diff()) > 0 else -1))
        made.append(Classifier(name, model, clf2.tokenizer, clf2.labels))
    found = [clf2, *made]
    monkeypatch.setattr(models, "beside", lambda clf: found)
    models.kept.cache_clear()
    yield found
    models.kept.cache_clear()


@pytest.fixture
def frozen(monkeypatch) -> tuple[LanguageModel, FrozenFeatures]:
    """A tiny base, and features as of it, of which class is to be told by one direction at the last layer."""
    model = randomise(GPT2LMHeadModel(tiny_config(2)), seed=3).eval().requires_grad_(False)
    base = LanguageModel("tiny base", model, tiny_tokenizer())
    n, generator = 40, torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 2
    packed = {}
    for layer in range(4):
        for place in PLACES:
            vectors = torch.randn(2, n, 10, generator=generator)
            vectors[:, :, 0] += (2 * labels - 1) * layer  # the lowest layer knows nothing
            packed[layer, place] = pack(*vectors)
    features = FrozenFeatures(tuple(range(4)), PLACES, labels, labels, Norm.of(base), "f", "ours/train", packed)
    monkeypatch.setattr(models, "features", lambda: features)
    monkeypatch.setattr(models, "frozen_states", lambda text: read_states(base, text))
    models.live_head.cache_clear()
    yield base, features
    models.live_head.cache_clear()


def said(clf, text: str = TEXT, **options):
    (explained,) = regimes.explain(clf, trace(clf, text), **options)
    return explained


def words(explained) -> str:
    return "".join(text for text, _ in explained.takeaway)


def dots(figure) -> dict[str, dict[float, float]]:
    """By axis: the value in each row."""
    drawn: dict[str, dict[float, float]] = {}
    for part in figure.data:
        drawn.setdefault(part.xaxis, {}).update(zip(part.y, part.x, strict=True))
    return drawn


# --- side by side ---


def test_every_classifier_has_a_column_with_its_own_heads_margin_in_each_layer(clf2, others):
    explained = said(clf2)
    readings = read_regimes(others, TEXT)
    columns = torch.tensor(explained.figure.data[0].z).T
    assert torch.equal(columns, torch.stack([reading.layer_margins for reading in readings]))
    assert [note.text for note in explained.figure.layout.annotations] == [reading.label for reading in readings]


def test_those_that_disagree_are_told_apart_with_their_margins(clf2, others):
    told = words(said(clf2))
    assert told.startswith("The 3 classifiers disagree: ")
    for name, reading in zip(["the head alone", "LoRA"], read_regimes(others, TEXT)[1:], strict=True):
        assert f"{name} ({reading.margin:+.2f})" in told


def test_those_that_agree_are_told_with_their_margins(clf2, others):
    del others[1]  # which says the opposite
    told = words(said(clf2))
    assert told.startswith(f"All 2 classifiers say {trace(clf2, TEXT).label}: ")
    assert f"LoRA {read_regimes(others, TEXT)[1].margin:+.2f}" in told


def test_the_pages_own_model_is_framed_and_its_name_marked(clf2, others):
    figure = said(clf2).figure
    frame = figure.layout.shapes[0]
    assert (frame.x0, frame.x1) == (-0.5, 0.5)
    assert [name.startswith("▸") for name in figure.layout.xaxis.ticktext] == [True, False, False]


def test_the_layer_at_which_each_has_settled_is_told(clf2, others):
    settled = []
    for reading in read_regimes(others, TEXT):
        wrong = [i for i, margin in enumerate(reading.layer_margins) if (margin > 0) != (reading.margin > 0)]
        settled.append(wrong[-1] + 1 if wrong else 0)
    named = ["the embedding" if layer == 0 else f"layer {layer}" for layer in (min(settled), max(settled))]
    told = words(said(clf2))
    assert all(f"from {name} on" in told for name in named)


def test_a_text_is_read_once_by_each(clf2, others, monkeypatch):
    first = words(said(clf2))
    monkeypatch.setattr(regimes, "read_regimes", lambda *_: pytest.fail("was read already"))
    assert words(said(clf2)) == first


def test_a_foreign_model_whose_labels_no_other_has_stands_alone(clf):
    explained = said(clf)
    assert "No classifier that comes with this page has its labels (LABEL_0, LABEL_1," in words(explained)
    assert len(explained.figure.data[0].x) == 1


def test_a_foreign_model_comes_before_the_bundled_ones_with_its_labels(clf2):
    found = models.beside(clf2)
    assert found[0] is clf2
    assert {other.labels for other in found} == {clf2.labels}
    assert [other.name for other in found[1:]] == [n for n in models.TRAINED if n in {o.name for o in found}]
    assert "full" in {other.name for other in found}


def test_a_bundled_model_has_its_own_place_among_them():
    full = load_classifier("full")
    found = models.beside(full)
    assert [other.name for other in found].count("full") == 1
    assert full in found


def test_a_bundled_model_that_cannot_be_loaded_is_left_out(clf2, monkeypatch):
    def damaged(name: str) -> Classifier:
        raise models.ModelError(f"{name} is damaged")

    monkeypatch.setattr(models, "classifier", damaged)
    assert models.beside(clf2) == [clf2]


def test_columns_of_models_of_other_depths_end_where_these_end():
    figure = side_by_side_figure(
        [[1.0, 2.0], [1.0, 2.0, 3.0]], ["a", "b"], [("yes", "ink")] * 2, chosen=0, unit="", alt=""
    )
    tops = [note.y for note in figure.layout.annotations]
    assert tops == [1.5, 2.5]
    assert {(shape.x0, shape.y1) for shape in figure.layout.shapes[1:]} == {(-0.5, 1.5), (0.5, 2.5)}


def test_names_and_labels_of_a_foreign_model_are_no_markup():
    figure = side_by_side_figure([[1.0]], ["<i>x</i>"], [("<i>x</i>", "ink")], chosen=0, unit="<i>", alt="")
    assert "<i>" not in json.dumps(figure.layout.to_plotly_json() | {"template": None})
    assert "<i>" not in json.dumps(figure.data[0].x)


# --- what is not there ---


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "beside"])
def test_what_was_not_measured_is_said_to_be_so(view, clf2, monkeypatch):
    monkeypatch.setattr(models, "results", dict)
    monkeypatch.setattr(models, "features", lambda: None)
    explained = said(clf2, view=view)
    assert words(explained).startswith("Not measured: ")
    assert [note.text for note in explained.figure.layout.annotations] == ["Not measured yet"]


@pytest.mark.parametrize("left", ["head", "full", "lora", "random", "bag-of-words"])
def test_a_study_that_has_only_begun_is_told_as_far_as_it_is(left, clf2, results):
    study = results["regimes"]
    study["table"] = {left: study["table"][left]}
    study["curves"] = {left: study["curves"].get(left, [])}
    study["read_outs"] = {left: read_outs(last=0.7)}
    study["search"] = {}
    del study["majority"]
    for view in ("table", "labels", "places"):
        explained = said(clf2, view=view)
        assert explained.figure.layout.meta["alt"]
        assert "None" not in words(explained) and "{" not in words(explained)


@pytest.mark.parametrize("view", ["table", "labels", "places"])
def test_a_study_is_read_as_training_writes_it(view, clf2, monkeypatch):
    options = RegimesOptions(base="b", data=("d/sst2",), test=("d/sst2:validation",), output="o", results="r.json")
    cells = []
    for regime in ("head", "lora", "prompt", "last-block", "full", "random", BAG):
        cells += [cell("search", regime, 64), *(cell("table", regime, 4096, seed=seed) for seed in range(3))]
        cells += [cell("curve", regime, 32, seed=seed) for seed in range(3)]
        cells += [cell("read-out", regime, 4096, read_out=place) for place in ("first", "mean", "middle")]
    study = {"regimes": summarise(cells, options)}
    monkeypatch.setattr(models, "results", lambda: json.loads(json.dumps(study)))
    explained = said(clf2, view=view)
    assert not words(explained).startswith("Not measured")
    assert explained.figure.data


def cell(part: str, regime: str, texts: int, **changes: object) -> dict:
    """A finished run, as `gpt2cls_core.training.regimes.run_cell` gives it."""
    splits = SPLITS if part == "table" else SPLITS[:1]
    accuracy = {split: {"accuracy": 0.7, "low": 0.6, "high": 0.8, "n": 400} for split in splits}
    return {
        "part": part, "regime": regime, "examples": texts, "passes": 2, "rate": 0.5, "seed": 0, "read_out": "last",
        "parameters": 200, "trained_parameters": 50, "stored_bytes": 100, "texts": texts, "seconds": None,
        "held_out_accuracy": {"sst2": 0.7}, "accuracy": accuracy, **changes,
    }  # fmt: skip


# --- the table ---


def test_the_table_draws_every_regime_on_every_split(clf2, results):
    figure = said(clf2, view="table").figure
    order = ["head", "prompt", "lora", "full", "random", "bag-of-words"]
    for axis, split in zip(("x", "x2"), SPLITS, strict=True):
        means = [STUDY["table"][regime]["accuracy"][split]["mean"] for regime in order]
        assert dots(figure)[axis] == dict(enumerate([*means, 0.51]))
    intervals = [half for part in figure.data if part.error_x.visible for half in part.error_x.array]
    assert intervals == pytest.approx(([0.01] * 6 + [0]) * 2)  # the commoner class has no seeds


def test_frozen_bodies_have_a_colour_of_their_own(clf2, results):
    colours = {part.marker.color: set(part.y) for part in said(clf2, view="table").figure.data}
    assert colours[LIGHT["frozen"]] == {0, 1, 2}  # head, prompt, LoRA


def test_what_each_regime_costs_is_listed(clf2, results):
    table = said(clf2, view="table").table
    listed = {row[0]: row[1:] for row in table.rows}
    assert listed["the head alone"] == ["8\n0.8%", "0\u00a0KB", "1.5 min\nC\u00a00.1"]
    assert listed["everything"] == ["1,000\n100%", "2\u00a0KB", "1.5 min\n3\u00a0passes\nrate\u00a00.001"]
    assert listed["bag of words"][2] == "under 1 s"
    assert "3 seeds" in table.caption and "best of 4 tried" in table.caption and "2,048 labelled texts" in table.caption


def test_the_row_of_the_pages_model_stands_out(results):
    full = load_classifier("full")
    (explained,) = regimes.explain(full, trace(full, TEXT), view="table")
    assert [explained.table.rows[place][0] for place in explained.table.strong] == ["everything"]


@pytest.mark.parametrize(("above", "told"), [(0.859, True), (0.8, False)])
def test_who_sees_another_number_in_the_header_is_told_why(above, told, results):
    results["classifiers"] = {"full": {"accuracy": {SPLITS[0]: {"accuracy": above}}}}
    full = load_classifier("full")
    (explained,) = regimes.explain(full, trace(full, TEXT), view="table")
    why = f"was trained {full.card['how_trained']}: so it is right in 85.9% on SST-2, the study’s in 80.0%."
    assert (why in explained.table.caption) == told


@pytest.mark.parametrize("complete", [True, False])
def test_an_unfinished_study_says_so(complete, clf2, results):
    results["regimes"]["complete"] = complete
    assert ("not finished" in said(clf2, view="table").table.caption) == (not complete)


def test_regimes_with_fewer_seeds_than_others_are_counted_in(clf2, results):
    results["regimes"]["table"]["lora"]["accuracy"] = {split: seeds(0.79, None) for split in SPLITS}
    assert "means over 1 to 3 seeds, bars" in said(clf2, view="table").table.caption


@pytest.mark.parametrize(("full", "verdict"), [(0.80, "Not only."), (0.76, "No. On"), (0.60, "only 60.0%")])
def test_the_first_comment_is_answered_by_the_intervals_over_seeds(full, verdict, clf2, results):
    results["regimes"]["table"]["full"]["accuracy"][SPLITS[0]] = seeds(full)
    told = words(said(clf2, view="table"))
    assert verdict in told
    assert f"{100 * (full - 0.75):+.1f} points" in told
    assert ("may be luck" in told) == (full == 0.76)
    assert "-2.0 points on IMDb" in told, "the other split speaks against"


def test_one_seed_decides_nothing(clf2, results):
    for regime in results["regimes"]["table"].values():
        for split, entry in regime["accuracy"].items():
            regime["accuracy"][split] = seeds(entry["mean"], None)
    explained = said(clf2, view="table")
    assert "may be luck" in words(explained)
    assert "1 seed;" in explained.table.caption


def test_the_second_comment_is_answered_with_what_was_trained(clf2, results):
    told = words(said(clf2, view="table"))
    assert "LoRA is right in 79.0% with 4 % of the weights trained; soft prompt is right in 60.0% with 2 %" in told
    assert "the better of them, LoRA, stands at -1.0 points" in told
    assert "pre-training is worth +10.0 points" in told


@pytest.mark.parametrize(
    ("bag", "told"), [(0.76, "do not touch): LoRA, everything"), (0.9, "none of them is clearly above it")]
)
def test_who_is_above_the_bag_of_words_is_told(bag, told, clf2, results):
    results["regimes"]["table"]["bag-of-words"]["accuracy"][SPLITS[0]] = seeds(bag)
    assert told in words(said(clf2, view="table"))


def test_how_little_so_few_sentences_say_is_told(clf2, results):
    # 196 · √(0.75 · 0.25 / 400) = 4.24
    assert "by about 4 points either way" in words(said(clf2, view="table"))


# --- fewer labels ---


def test_learning_curves_are_drawn_as_measured(clf2, results):
    figure = said(clf2, view="labels").figure
    curves = {part.name: list(part.y) for part in figure.data}
    assert curves["head alone"] == [0.6, 0.7, 0.75]
    assert list(figure.layout.xaxis.ticktext) == ["32", "128", "2,048"]
    assert list(figure.data[0].x) == pytest.approx([32, 128, 2048], rel=0.08)  # neighbours stand a little apart


def test_who_overtakes_whom_is_told(clf2, results):
    told = words(said(clf2, view="labels"))
    assert "ahead of the head alone from 2,048 texts on" in told, "a lead that is lost again does not count"
    assert "takes 2,048 labelled texts to reach what the head alone has after 32 (60.0%)" in told
    assert "ahead of the bag of words at 2 of 3 sizes" in told


def test_who_never_overtakes_is_told(clf2, results):
    results["regimes"]["curves"]["full"][-1] |= seeds(0.7)
    results["regimes"]["curves"]["random"][-1] |= seeds(0.59)
    told = words(said(clf2, view="labels"))
    assert "not ahead of the head alone at the end" in told
    assert "never reaches" in told


def test_names_beside_curves_keep_apart_and_in_order():
    # 10 and 12 meet: around their mean 11 they stand 15 apart; 60 stays
    assert apart([12.0, 60.0, 10.0], 15) == [18.5, 60.0, 3.5]
    # 0, 10, 20 push each other: all three around 10
    assert apart([0.0, 10.0, 20.0], 15) == [-5.0, 10.0, 25.0]
    # a run that grows into its neighbour takes it in: 1, 2 spread to -6, 9; 20 is within 15 of 9
    assert apart([1.0, 2.0, 20.0], 15) == pytest.approx([23 / 3 - 15, 23 / 3, 23 / 3 + 15])


# --- before any label ---


def test_the_probe_is_drawn_against_the_falling_loss(clf2, results):
    figure = said(clf2, view="next-word").figure
    assert list(figure.data[0].x) == [9.0, 4.2]
    assert list(figure.data[0].y) == [0.52, 0.76]
    low, high = figure.layout.xaxis.range
    assert low > high, "time goes to the right"
    assert figure.layout.shapes[0].y0 == 0.75


@pytest.mark.parametrize(
    ("accuracy", "told"), [(0.8, "ahead of counting"), (0.76, "level with"), (0.7, "still behind")]
)
def test_the_probe_is_compared_with_the_bag_of_words(accuracy, told, clf2, results):
    results["pretraining"]["curve"][-1]["probe_accuracy"] = accuracy
    said_of_it = words(said(clf2, view="next-word"))
    assert told in said_of_it
    assert "52.0%" in said_of_it and f"{accuracy:.1%}" in said_of_it and "18M tokens" in said_of_it


# --- where to read ---


def test_places_are_drawn_for_both(clf2, results):
    figure = said(clf2, view="places").figure
    assert dots(figure) == {"x": {0: 0.52, 1: 0.65, 2: 0.74, 3: 0.75}, "x2": {0: 0.51, 1: 0.7, 2: 0.81, 3: 0.8}}


def test_a_place_that_is_better_than_the_last_is_owned_up_to(clf2, results):
    told = words(said(clf2, view="places"))
    assert "+1.0 points ahead of the next best, the mean of all, which may be luck" in told  # the head alone
    assert "not the best place here: the mean of all is as good or better (-1.0 points)" in told  # everything
    assert "at most 52.0%, and always naming the commoner class gives 51.0%" in told


def test_a_lead_of_the_last_token_is_told_where_the_intervals_do_not_touch(clf2, results):
    results["regimes"]["read_outs"] = {"head": read_outs(last=0.75, mean=0.7)}
    assert "worth +5.0 points against the next best, the mean of all" in words(said(clf2, view="places"))


# --- where it lives ---


def test_the_maps_are_drawn_side_by_side(clf2, results):
    figure = said(clf2, view="map").figure
    assert [torch.tensor(part.z).tolist() for part in figure.data] == [
        torch.tensor(MAP[key]).tolist() for key in PANELS
    ]
    assert len({(part.zmin, part.zmax) for part in figure.data}) == 1, "one scale for all"
    (frame,) = figure.layout.shapes
    assert (frame.xref, frame.x1, frame.y1) == ("x2", 2.5, 2.5)


def test_what_fine_tuning_moved_is_told(clf2, results):
    told = words(said(clf2, view="map"))
    assert "76% of 800 sentences before fine-tuning, and in 84% after" in told
    assert "most in layer 1, at the last token: from 70% to 83%" in told
    # upper half: layers 1 and 2; at the end (0.13 + 0.08) / 2, inside (0.02 + 0.02) / 2
    assert "gains +10.5 points, places inside the text +2.0: fine-tuning gathers it at the end" in told
    assert "from layer 2 on before and from layer 1 on after" in told
    assert "48% to 51%" in told


def test_a_gain_that_is_everywhere_is_not_said_to_be_at_the_end(clf2, results):
    results["label_map"]["full"] = [[value + 0.05 for value in layer] for layer in MAP["base"]]
    assert "did not gather it at the end alone" in words(said(clf2, view="map"))


# --- train a head ---


def test_the_head_is_trained_as_asked_and_its_curve_drawn(clf2, frozen):
    _, features = frozen
    head = train_head(features, examples=32, layer=2, place="mean", seed=1)
    explained = said(clf2, view="train", examples=32, layer=2, place="mean", draw=1)
    (curve,) = explained.figure.data
    assert list(zip(curve.x, curve.y, strict=True)) == list(head.curve)
    assert curve.error_y.array[-1] == pytest.approx(head.high - head.accuracy)
    assert curve.error_y.arrayminus[-1] == pytest.approx(head.accuracy - head.low)
    assert f"{head.accuracy:.1%} ({head.low:.1%} to {head.high:.1%}) of 40 sentences" in words(explained)


def test_the_text_is_judged_by_the_new_head_beside_the_pages_model(clf2, frozen):
    base, features = frozen
    margin = judge(train_head(features, examples=16, layer=3), read_states(base, TEXT))
    read = trace(clf2, TEXT)
    told = words(said(clf2, view="train", examples=16))
    assert f"it says {'positive' if margin > 0 else 'negative'} ({margin:+.2f})" in told
    assert f"{read.label} ({float(read.logits.diff()):+.2f})" in told
    assert ("They agree" in told) == ((margin > 0) == (float(read.logits.diff()) > 0))


@pytest.mark.parametrize("place", PLACES)
def test_the_strip_gives_the_new_heads_verdict_on_every_beginning(place, clf2, frozen):
    base, features = frozen
    head = train_head(features, examples=16, layer=3, place=place)
    strip = said(clf2, view="train", examples=16, place=place).strip
    beginnings = [TEXT[:end] for _, end in read_states(base, TEXT).encoding.offsets]
    assert [float(item["label"].split()[0]) for item in strip["items"]] == pytest.approx(
        [judge(head, read_states(base, beginning)) for beginning in beginnings],
        abs=0.0051,  # labels have two digits
    )


def test_a_head_that_knows_nothing_is_said_to_know_nothing(clf2, frozen):
    assert "cannot be told from always naming one class" in words(said(clf2, view="train", examples=8, layer=0))
    assert "cannot be told" not in words(said(clf2, view="train", examples=32, layer=3))


def test_another_text_trains_nothing(clf2, frozen, monkeypatch):
    first = said(clf2, view="train", examples=16)
    monkeypatch.setattr(models, "train_head", lambda *_, **__: pytest.fail("was trained already"))
    second = said(clf2, "good film", view="train", examples=16)
    assert second.figure.data[0].y == first.figure.data[0].y
    assert len(second.strip["items"]) == 2


def test_a_layer_that_the_features_do_not_have_stands_for_the_last(clf2, frozen):
    assert "in layer 3 of the frozen body" in words(said(clf2, view="train", examples=16, layer=99))


def test_more_classes_than_two_are_not_compared(clf, frozen):
    told = words(said(clf, view="train", examples=16))
    assert "They " not in told
    assert trace(clf, TEXT).label in told


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("beside", "train")])
def test_what_is_not_about_the_text_leaves_the_strip_empty(view, clf2, results):
    assert said(clf2, view=view).strip["items"] == []
