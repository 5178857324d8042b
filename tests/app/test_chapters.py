"""Chapters say what the library computed, for any text, and each is one of a family of four files."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from pathlib import Path

import gradio as gr
import plotly.graph_objects as go
import pytest
import torch
from conftest import TEXT, randomise, tiny_config, tiny_tokenizer
from transformers import GPT2LMHeadModel

from app import models
from app.chapters import CHAPTERS, attribution, geometry, ledger, lens, predict, rollout, stem
from app.models import Shape
from gpt2cls_core import (
    LanguageModel,
    LensProbes,
    attention_rollout,
    class_lens,
    cloud_sentences,
    compare_geometry,
    gradient_weighted_rollout,
    integrated_gradients,
    margin_ledger,
    nearest_words,
    next_token_lens,
    probe_lens,
    read_states,
    sentence_cloud,
    trace,
    vector_at,
)
from gpt2cls_core.referee import METHODS

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "a sentence": TEXT,
    "one token": "good",
    "an emoji": "😀",
    "HTML": "<b>x</b>",
    "a template": "{x} ${y}",
    "stars": "**a** *",
    "blanks": " \n a",
    "too long": "good film, but not for me good film, but not for me",
}
RESERVED = {"text", "model", "chapter", "embed"}  # what a link says besides options
FRAME = {
    "__init__",
    "compared",
    "frame",
    "judged",
    "learned",
    "patched",
    "removed",
    "sprung",
    "study",
    "swapped",
    "taught",
    "told",
}  # files beside the chapters

EVERY_CHAPTER = pytest.mark.parametrize("chapter", CHAPTERS, ids=map(stem, CHAPTERS))
EVERY_TEXT = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


def last(chapter, clf, text: str = TEXT, **options):
    """What a chapter says in the end."""
    *_, explained = chapter.explain(clf, trace(clf, text), **options)
    return explained


def words(runs) -> str:
    return "".join(text for text, _ in runs)


def strong(runs) -> list[str]:
    """The strong runs: the numbers and tokens that were just computed."""
    return [text for text, is_strong in runs if is_strong]


@pytest.fixture
def base(monkeypatch) -> LanguageModel:
    """A language model that stands for the one before fine-tuning."""
    model = randomise(GPT2LMHeadModel(tiny_config(2)), seed=3).eval().requires_grad_(False)
    before = LanguageModel("tiny base", model, tiny_tokenizer())
    monkeypatch.setattr(models, "base", lambda clf: before)
    monkeypatch.setattr(models, "base_states", lambda clf, text: read_states(before, text))
    return before


@pytest.fixture
def probes(clf2, monkeypatch) -> LensProbes:
    """A trained lens of our own."""
    shape = (clf2.n_layer + 1, clf2.d_model)
    trained = LensProbes(torch.randn(shape, generator=torch.Generator().manual_seed(4)), torch.arange(shape[0]) / 2)
    monkeypatch.setattr(models, "lens_probes", lambda clf: trained)
    return trained


@pytest.fixture(scope="module")
def frames(clf2):
    """Every chapter laid out for the two-class model."""

    async def laid_out() -> dict:
        with gr.Blocks():
            return {chapter: chapter.render(Shape(clf2.labels, clf2.n_layer, clf2.n_head)) for chapter in CHAPTERS}

    return asyncio.run(laid_out())  # where no event loop runs, gradio opens some and never closes them


def values(component) -> list:
    """What a person can choose in an option; the default alone where there is no list."""
    if isinstance(component, gr.Checkbox):
        return [False, True]
    return [value for _, value in getattr(component, "choices", [])] or [component.value]


# --- the family ---


def test_the_chapters_are_the_files():
    files = {file.stem for file in (ROOT / "app" / "chapters").glob("*.py")} - FRAME
    assert set(map(stem, CHAPTERS)) == files
    assert len(CHAPTERS) == len(files)


def test_the_lessons_are_the_chapters():
    assert {file.stem for file in (ROOT / "app" / "lessons").glob("*.md")} == set(map(stem, CHAPTERS))


@EVERY_CHAPTER
@pytest.mark.parametrize("file", ["gpt2cls_core/{}.py", "app/lessons/{}.md", "tests/test_{}.py"])
def test_one_stem_names_module_chapter_lesson_and_test(chapter, file):
    assert (ROOT / file.format(stem(chapter))).is_file()


@EVERY_CHAPTER
def test_a_title_fits_into_the_row_of_chapters(chapter):
    assert 5 <= len(chapter.TITLE) <= 28


def test_no_two_chapters_share_a_title():
    assert len({chapter.TITLE for chapter in CHAPTERS}) == len(CHAPTERS)


# --- options ---


@EVERY_CHAPTER
def test_options_on_the_page_are_those_of_explain_with_the_same_defaults(chapter, frames):
    parameters = inspect.signature(chapter.explain).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {name: component.value for name, component in frames[chapter].options.items()} == defaults


@EVERY_CHAPTER
def test_options_have_labels_and_names_that_a_link_has_free(chapter, frames):
    for name, component in frames[chapter].options.items():
        assert component.label, name
        assert name not in RESERVED
        assert not name.startswith("__")


@EVERY_CHAPTER
def test_every_choice_of_every_option_is_explained(chapter, frames, clf2):
    for name, component in frames[chapter].options.items():
        for value in values(component):
            explained = last(chapter, clf2, **{name: value})
            assert isinstance(explained.figure, go.Figure), (name, value)
            assert explained.takeaway, (name, value)


# --- every chapter, every text ---


@EVERY_CHAPTER
@EVERY_TEXT
def test_every_text_is_explained(chapter, text, clf2):
    read = trace(clf2, text)
    for explained in chapter.explain(clf2, read):
        shown = [item["text"] for item in explained.strip["items"]]
        assert shown in (list(read.tokens), [word.text for word in read.words])
        assert explained.strip["caption"]
        assert explained.figure.layout.meta["alt"]
        assert explained.takeaway
        assert all(isinstance(run, str) and isinstance(is_strong, bool) for run, is_strong in explained.takeaway)
        assert not re.search(r"\b(nan|inf)\b", words(explained.takeaway))
        json.dumps([json.loads(explained.figure.to_json()), explained.strip, explained.takeaway], allow_nan=False)


@EVERY_CHAPTER
def test_more_than_two_classes_are_explained_too(chapter, clf):
    explained = last(chapter, clf)
    assert explained.figure.layout.meta["alt"]
    assert explained.takeaway
    assert "{" not in words(explained.takeaway)


@EVERY_CHAPTER
def test_what_was_typed_stays_text(chapter, clf2):
    for explained in chapter.explain(clf2, trace(clf2, "<b>${x}")):
        drawn = json.dumps({**json.loads(explained.figure.to_json())["layout"], "template": None}, ensure_ascii=False)
        assert "<b>" not in drawn
        assert "".join(item["text"] for item in explained.strip["items"]) == "<b>${x}"


# --- the numbers ---


def test_predict_quotes_the_products_of_the_last_vector_with_the_heads_weights(clf2):
    read = trace(clf2, TEXT)
    with torch.no_grad():
        vector = clf2.model.transformer(read.input_ids[None]).last_hidden_state[0, -1]
        products = vector * (clf2.score[1] - clf2.score[0])
    margin = float(read.logits[1] - read.logits[0])
    sizes = products.abs().sort(descending=True).values
    half = next(n for n in range(1, len(sizes) + 1) if sizes[:n].sum() >= sizes.sum() / 2)
    assert strong(last(predict, clf2).takeaway) == [
        "10",
        f"{products[products > 0].sum():+.2f}",
        f"{products[products < 0].sum():+.2f}",
        f"{margin:+.2f}",
        "positive" if margin > 0 else "negative",
        f"{products[products.abs().argmax()]:+.2f}",
        str(half),
    ]


def test_predict_draws_bars_that_add_up_to_the_margin(clf2):
    read = trace(clf2, TEXT)
    (bars,) = last(predict, clf2).figure.data
    assert sum(bars.y[:-1]) == pytest.approx(bars.y[-1])
    assert bars.y[-1] == pytest.approx(float(read.logits[1] - read.logits[0]), abs=1e-5)  # float32 sum of 10


def test_predict_scores_only_the_token_that_the_head_reads(clf2):
    *others, read = [item["label"] for item in last(predict, clf2).strip["items"]]
    assert set(others) == {""}
    margin = trace(clf2, TEXT).logits.diff().item()
    assert read == f"{margin:+.2f} logits"


def test_rollout_quotes_weights_null_and_what_was_learned_beyond(clf2):
    read = trace(clf2, TEXT)
    result, gradient = attention_rollout(read), gradient_weighted_rollout(clf2, read)
    beyond = (result.weights - result.null)[-1]
    quoted = [f"“{token.strip()}”" for token in read.tokens]
    assert strong(last(rollout, clf2).takeaway) == [
        quoted[0],
        f"{result.weights[-1, 0]:.0%}",
        f"{result.null[-1, 0]:.0%}",
        quoted[beyond.argmax()],
        f"{100 * beyond.max():+.1f}",
        quoted[beyond.argmin()],
        f"{100 * beyond.min():+.1f}",
        f"{read.attention[:, :, -1, 0].mean():.0%}",
        clf2.labels[1],
        quoted[gradient.relevance[-1, :-1].argmax()],
    ]


def test_rollout_draws_the_view_that_was_chosen(clf2):
    read = trace(clf2, TEXT)
    result = attention_rollout(read)
    bare = attention_rollout(read, remove_sink=True)
    views = {
        ("beyond", False, 0): result.flow - result.null_flow,
        ("raw", False, 0): result.flow,
        ("raw", True, 0): bare.flow,
        ("null", False, 0): result.null_flow,
        ("gradient", False, 0): gradient_weighted_rollout(clf2, read).flow,
        ("attention", False, 0): read.attention[:, :, -1].mean(1),
        ("attention", False, 2): read.attention[:, 1, -1],
    }
    for (view, without_sink, head), grid in views.items():
        figure = last(rollout, clf2, view=view, without_sink=without_sink, head=head).figure
        assert torch.equal(torch.tensor(figure.data[0].z), grid), view


def test_rollout_of_one_token_claims_no_past(clf2):
    assert strong(last(rollout, clf2, "good").takeaway) == ["“good”"]


@pytest.mark.parametrize("baseline", ["eos", "zero", "mean"])
def test_attribution_quotes_scores_sum_and_delta(clf2, baseline):
    result = integrated_gradients(clf2, TEXT, baseline=baseline)
    scores = result.word_scores
    top = int(scores.abs().argmax())
    first = next(attribution.explain(clf2, trace(clf2, TEXT), baseline=baseline))
    delta = result.convergence_delta
    assert strong(first.takeaway)[:7] == [
        f"“{result.words[top].text}”",
        f"{scores[top]:+.2f}",
        f"{result.scores.sum():+.2f}",
        f"{result.margin_baseline:+.2f}",
        f"{result.margin_input:+.2f}",
        f"{delta:+.4f}" if abs(delta) >= 1e-4 else "below 0.0001",
        str(result.n_steps),
    ]


def test_attribution_adds_how_far_the_baselines_agree(clf2):
    by_word = torch.stack([integrated_gradients(clf2, TEXT, baseline=b).word_scores for b in ("eos", "zero", "mean")])
    lowest = float(torch.corrcoef(by_word.double()).min())
    first, second = attribution.explain(clf2, trace(clf2, TEXT))
    assert second.takeaway[: len(first.takeaway)] == first.takeaway
    added = words(second.takeaway[len(first.takeaway) :])
    assert f"{lowest:.2f}" in added
    assert ("disagree" in added) == (lowest < attribution.AGREE)


@pytest.mark.parametrize("unit", ["words", "tokens"])
def test_attribution_draws_the_scores_of_words_or_tokens(clf2, unit):
    result = integrated_gradients(clf2, TEXT)
    scores = result.word_scores if unit == "words" else result.scores
    explained = last(attribution, clf2, unit=unit)
    assert list(explained.figure.data[0].y) == scores.tolist()
    assert [item["label"] for item in explained.strip["items"]] == [f"{score:+.2f} logits" for score in scores]


def test_lens_quotes_flips_and_draws_the_margin_of_every_cell(clf2):
    result = class_lens(clf2, trace(clf2, TEXT))
    explained = last(lens, clf2)
    assert torch.equal(torch.tensor(explained.figure.data[0].z), result.margins)
    assert explained.strip["marks"] == list(result.flips)
    assert f"{result.margin:+.2f}" in strong(explained.takeaway)
    if result.flips:
        assert strong(explained.takeaway)[:2] == [
            f"{len(result.flips)}×",
            f"“{result.tokens[result.flips[-1]].strip()}”",
        ]


def test_lens_strip_gives_the_verdict_of_every_prefix(clf2):
    read = trace(clf2, TEXT)
    labels = [item["label"] for item in last(lens, clf2).strip["items"]]
    prefixes = [TEXT[:end] for _, end in read.offsets]
    assert [float(label.split()[0]) for label in labels] == pytest.approx(
        [float(trace(clf2, prefix).logits.diff()) for prefix in prefixes],
        abs=0.0051,  # labels have two digits
    )


def test_lens_says_where_the_final_sign_is_settled(clf2):
    result = class_lens(clf2, trace(clf2, TEXT))
    said = words(last(lens, clf2).takeaway)
    assert ("from layer" in said) == bool(result.settled_layer)
    if result.settled_layer:
        assert strong(last(lens, clf2).takeaway)[-2:] == [f"{result.margins[0, -1]:+.2f}", str(result.settled_layer)]


def test_lens_of_one_token_never_changes_sign(clf2):
    read = trace(clf2, "good")
    said = strong(last(lens, clf2, "good").takeaway)
    assert said[:2] == [read.label, f"{read.logits.diff().item():+.2f}"]


def test_lens_draws_the_trained_lens_where_there_is_one(clf2, probes):
    explained = last(lens, clf2, view="probe")
    expected = probe_lens(clf2, trace(clf2, TEXT), probes).margins
    assert torch.equal(torch.tensor(explained.figure.data[0].z), expected)
    assert "no trained lens" not in words(explained.takeaway)


def test_lens_owns_up_to_having_no_trained_lens_and_draws_the_head(clf2):
    explained = last(lens, clf2, view="probe")
    assert "no trained lens" in words(explained.takeaway)
    assert torch.equal(torch.tensor(explained.figure.data[0].z), class_lens(clf2, trace(clf2, TEXT)).margins)


def test_lens_draws_and_quotes_the_next_words_of_the_model_that_is_asked(clf2, base):
    asked = {
        "before": next_token_lens(base, read_states(base, TEXT)),
        "after": next_token_lens(clf2, trace(clf2, TEXT)),
    }
    for view, expected in asked.items():
        explained = last(lens, clf2, view=view)
        assert torch.equal(torch.tensor(explained.figure.data[0].z), expected.probabilities[..., 0]), view
        for _, probability in expected.at(-1, -1)[:3]:
            assert f"({probability:.0%})" in words(explained.takeaway), view


def explanations_measured(*, planted: bool) -> dict:
    """An entry of results["explanations"] with another number in every place."""
    stems = [*METHODS, "random"]
    removal = {
        name: {stem: {"comprehensiveness": {"mean": start + i / 100}} for i, stem in enumerate(stems)}
        for name, start in (("replace", 0.7), ("cut", 0.3))
    }
    found = {stem: {"share": i / 20} for i, stem in enumerate(METHODS)}
    return {"n": 321, "removal": removal, **({"shortcut": {"found": found, "by_chance": 0.07}} if planted else {})}


@pytest.mark.parametrize("chapter", [rollout, attribution], ids=stem)
def test_what_explanations_were_worth_over_many_texts_is_quoted(chapter, clf2, monkeypatch):
    before = last(chapter, clf2).takeaway
    said = {}
    for planted in (False, True):
        entry = explanations_measured(planted=planted)
        monkeypatch.setattr(models, "results", lambda entry=entry: {"explanations": {clf2.name: entry}})
        explained = last(chapter, clf2).takeaway
        assert explained[: len(before)] == before, "what is said of the text stays"
        said[planted] = explained[len(before) :]
    # By their place among the methods: ig-eos, -zero, -mean are 0, 1, 2, rollout, beyond, gradient 4, 5, 6, random 10.
    falls, shares = (["0.34", "0.35", "0.36"], ["20%", "30%"]) if chapter is rollout else (
        ["0.30", "0.31", "0.32"], ["0%"]
    )  # fmt: skip
    assert strong(said[False]) == falls
    assert strong(said[True]) == falls + shares
    assert "321 sentences" in words(said[False]) and "0.40" in words(said[False])
    assert "7%" in words(said[True])


def test_lens_quotes_what_was_measured(clf2, monkeypatch):
    layers = clf2.n_layer + 1
    measured = {
        "n": 321,
        "head": [0.5 + i / 100 for i in range(layers)],
        "probe": [0.7 + i / 100 for i in range(layers)],
    }
    monkeypatch.setattr(models, "results", lambda: {"lens": {clf2.name: measured}})
    said = last(lens, clf2).takeaway
    assert strong(said)[-3:] == ["51%", f"{measured['head'][-1]:.0%}", "71%"]
    assert "321" in words(said)


def test_geometry_quotes_the_cloud_and_draws_every_layer(clf2):
    read = trace(clf2, TEXT)
    result = sentence_cloud(clf2, *cloud_sentences())
    explained = last(geometry, clf2)
    assert strong(explained.takeaway) == [
        f"{result.separation[0]:.0%}",
        f"{result.separation[-1]:.0%}",
        f"{result.control_mean[-1]:.0%}",
        f"{read.logits.diff().item():+.2f}",
    ]
    assert len(explained.figure.frames) == clf2.n_layer + 1
    for layer, frame in enumerate(explained.figure.frames):
        sentences, own = frame.data
        assert list(sentences.x) == result.coordinates[layer, :, 0].tolist()
        assert [own.x[0], own.y[0]] == result.place(read)[layer].tolist()


def test_geometry_of_a_text_with_itself_says_that_the_vectors_are_identical(clf2):
    explained = last(geometry, clf2, view="pair", other=TEXT)
    margin = f"{trace(clf2, TEXT).logits.diff().item():+.2f}"
    assert strong(explained.takeaway) == ["identical", "1.00", margin, margin]


def test_geometry_spells_with_the_model_before_fine_tuning_too(clf2, base):
    read = trace(clf2, TEXT)
    explained = last(geometry, clf2, view="spells", token=1)
    place = read.last_token_index - 1
    vectors = [
        (base, vector_at(read_states(base, TEXT), -1, place)),
        (clf2, vector_at(read, -1, place)),
    ]
    top = [nearest_words(model, vector, top=1) for model, vector in vectors]
    assert list(explained.figure.data[0].z[-1]) == [
        float(x) for words in top for x in (words.cosines[0], words.probabilities[0])
    ]


def test_geometry_compares_with_the_other_text(clf2):
    other = "bad film, but not for me"
    result = compare_geometry(clf2, trace(clf2, TEXT), trace(clf2, other))
    explained = last(geometry, clf2, view="pair", other=other)
    assert strong(explained.takeaway)[-2:] == [f"{result.margins_a[-1]:+.2f}", f"{result.margins_b[-1]:+.2f}"]
    assert list(explained.figure.data[0].y) == result.cosine.tolist()


def test_geometry_says_why_another_text_cannot_be_read(clf2):
    assert "no text to read" in words(last(geometry, clf2, view="pair", other=" ").takeaway)


def test_geometry_counts_the_token_to_spell_from_the_last(clf2):
    tokens = trace(clf2, TEXT).tokens
    for back in (0, 1, len(tokens) - 1, len(tokens) + 5):
        place = max(0, len(tokens) - 1 - back)
        explained = last(geometry, clf2, view="spells", token=back)
        assert explained.strip["marks"] == [place]
        assert f"“{tokens[place].strip()}”" in words(explained.takeaway)


def test_ledger_quotes_parts_that_add_up_to_the_margin(clf2):
    result = margin_ledger(clf2, trace(clf2, TEXT))
    heads, mlps, rest, total = (float(text) for text in strong(last(ledger, clf2).takeaway)[:4])
    assert heads == pytest.approx(float(result.heads.sum()), abs=0.0051)  # two digits each
    assert mlps == pytest.approx(float(result.mlps.sum()), abs=0.0051)
    assert heads + mlps + rest == pytest.approx(total, abs=0.021)
    assert total == pytest.approx(float(trace(clf2, TEXT).logits.diff()), abs=0.0051)


def test_ledger_names_the_largest_entry_and_the_token_that_wrote_most(clf2):
    result = margin_ledger(clf2, trace(clf2, TEXT))
    largest = max(result.terms, key=lambda term: abs(term.value))
    source = int(result.written_by_token.abs().argmax())
    assert strong(last(ledger, clf2).takeaway)[4:8] == [
        largest.name,
        f"{largest.value:+.2f}",
        f"“{result.tokens[source].strip()}”",
        f"{result.written_by_token[source]:+.2f}",
    ]


def test_ledger_compares_with_integrated_gradients(clf2):
    result = margin_ledger(clf2, trace(clf2, TEXT))
    top = int(integrated_gradients(clf2, TEXT).scores.abs().argmax())
    first, second = ledger.explain(clf2, trace(clf2, TEXT))
    added = words(second.takeaway[len(first.takeaway) :])
    assert f"“{result.tokens[top].strip()}”" in added
    assert ("instead" in added) == (top != int(result.written_by_token.abs().argmax()))


def test_ledger_of_one_token_has_no_other_to_read(clf2):
    assert "no other token" in words(last(ledger, clf2, "good").takeaway)


def test_ledger_bars_add_up_to_the_margin(clf2):
    (bars,) = last(ledger, clf2).figure.data
    assert sum(bars.y[:-1]) == pytest.approx(trace(clf2, TEXT).logits.diff().item(), abs=1e-4)  # float32 in the model


def test_ledger_draws_the_heads_or_the_tokens_that_were_chosen(clf2):
    result = margin_ledger(clf2, trace(clf2, TEXT))
    table = torch.cat([result.heads, result.attention_bias[:, None], result.mlps[:, None]], -1)
    drawn = torch.tensor(last(ledger, clf2, view="heads").figure.data[0].z)
    assert torch.equal(drawn, table.float())
    grid = torch.tensor(last(ledger, clf2, view="tokens", layer=2, head=1).figure.data[0].z)
    assert torch.equal(grid[1], result.by_source[1, 0].float())
    assert grid[[0, 2]].isnan().all()


def test_ledger_strip_gives_what_was_copied_from_each_token(clf2):
    result = margin_ledger(clf2, trace(clf2, TEXT))
    for (layer, head), by_token in {
        (0, 0): result.by_source.sum((0, 1)),
        (2, 0): result.by_source[1].sum(0),
        (2, 1): result.by_source[1, 0],
    }.items():
        labels = [item["label"] for item in last(ledger, clf2, view="tokens", layer=layer, head=head).strip["items"]]
        assert labels == [f"{value:+.2f} logits" for value in by_token]


def test_a_chapter_that_wants_the_base_model_does_without(clf2):
    assert models.base(clf2) is None
    assert "not at hand" in words(last(lens, clf2, view="before").takeaway)
