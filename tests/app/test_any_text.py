"""Whatever people type: from the text to tokens, words, strip, figure, takeaway and link, as text and nothing else."""

from __future__ import annotations

import html
import json
import unicodedata
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from conftest import save_tiny
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from app.components.token_strip import strip_value
from app.figures.grid import grid_figure
from app.figures.style import plain
from app.lesson import fill, quoted
from app.urlstate import MOST_CHARACTERS, MOST_OF_AN_OPTION, read_query
from gpt2cls_core import Classifier, TextError, load_classifier, sum_by_word

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;&amp;", "${alert(1)}", "{{value}}", "{0}{name!r}",
    "**strong**", "[[term]]", "`code`", "$$\\frac{a}{b}$$", "\\(x\\)", "%{x}", "<|endoftext|>", "%00%ED%A0%80", "\x00", "\x1b[31m",
    "\r\n", "\u2028", "\u202e", "\ufeff", "\u200d", "👩‍👩‍👧", "👍🏽",
    "e\u0301\u0323", "ﷺ", "İß", "\U0010ffff", "　", "…", "'", "?", "+",
]  # fmt: skip
HALVES = st.characters(categories=["Cs"])
PIECES = st.sampled_from(HOSTILE) | st.text(max_size=6)
WHOLE = st.lists(PIECES, min_size=1, max_size=8).map("".join)  # of characters; may be blank
ANY = st.lists(PIECES | HALVES, max_size=8).map("".join)  # halves of surrogate pairs too, as JSON can bring them
MANY = settings(
    deadline=None, max_examples=150, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEW = settings(MANY, max_examples=40)  # a figure takes milliseconds


@pytest.fixture(scope="module", params=["bytes", "full"])
def clf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A vocabulary of nearly nothing but bytes, with room for a long text; and the bundled one."""
    if request.param == "full":
        return load_classifier()
    return load_classifier(save_tiny(tmp_path_factory.mktemp("bytes"), 2, context=1000))


def readable(text: str) -> bool:
    return bool(text.strip()) and not any(unicodedata.category(character) == "Cs" for character in text)


# --- tokens and words ---


@MANY
@given(text=ANY)
@example(text="\ud83d\udc4d")  # both halves of an emoji are no emoji
@example(text="\x00")
@example(text="\x1c\x1d")  # blanks for Python, control characters for others
def test_a_text_is_read_or_refused_with_words(text: str, clf: Classifier) -> None:
    if readable(text):
        assert len(clf.encode(text)) > 0
    else:
        with pytest.raises(TextError, match=r"^[A-Z].*\.$"):
            clf.encode(text)


@MANY
@given(text=WHOLE.filter(readable))
def test_tokens_spell_the_text_and_nothing_else(text: str, clf: Classifier) -> None:
    encoding = clf.encode(text)
    assert encoding.tokens_cut == 0
    assert clf.tokenizer.decode(encoding.input_ids.tolist(), skip_special_tokens=False) == text
    assert clf.tokenizer.eos_token_id not in encoding.input_ids.tolist()  # though people type it
    reached = 0
    for start, end in encoding.offsets:
        assert start <= reached and start < end and end >= reached, "no gap, and nothing twice but parts of a character"
        reached = end
    assert reached == len(text)
    assert "".join(token for token in encoding.tokens if token != "⋯") == text


@MANY
@given(text=WHOLE.filter(readable))
def test_every_token_is_in_one_word_and_no_score_is_lost(text: str, clf: Classifier) -> None:
    encoding = clf.encode(text)
    assert [i for word in encoding.words for i in range(word.start, word.stop)] == list(range(len(encoding)))
    assert all(word.text in text for word in encoding.words)
    scores = torch.arange(1.0, len(encoding) + 1)  # whole numbers add up without rounding
    assert sum_by_word(scores, encoding.words).sum() == scores.sum()


@MANY
@given(text=WHOLE.filter(readable), repeats=st.integers(100, 400))
def test_a_text_that_is_too_long_keeps_its_end(text: str, repeats: int, clf: Classifier) -> None:
    encoding = clf.encode(text * repeats)
    ids = clf.tokenizer(text * repeats, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert encoding.input_ids.tolist() == ids[-clf.context :]
    assert encoding.tokens_cut == len(ids) - len(encoding)
    assert encoding.offsets[-1][1] == len(text) * repeats
    assert [i for word in encoding.words for i in range(word.start, word.stop)] == list(range(len(encoding)))


def test_the_limit_counts_characters_and_holds_exactly(clf: Classifier) -> None:
    encoding = clf.encode("👍" * 100_000)
    assert (len(encoding), encoding.offsets[-1][1]) == (clf.context, 100_000)
    with pytest.raises(TextError, match=r"The text has 100,001 characters; shorten it to 100,000 or fewer\."):
        clf.encode("👍" * 100_001)


# --- what the page makes of it ---


@MANY
@given(text=WHOLE.filter(readable))
def test_the_strip_shows_the_text_as_data(text: str, clf: Classifier) -> None:
    encoding = clf.encode(text)
    scores = [float(i) for i in range(len(encoding))]
    value = json.loads(json.dumps(strip_value(encoding.tokens, scores, caption="", scale="signed"), allow_nan=False))
    assert "".join(item["text"] for item in value["items"] if item["text"] != "⋯") == text


@FEW
@given(text=WHOLE.filter(readable))
def test_a_figures_labels_can_not_be_markup(text: str, clf: Classifier) -> None:
    tokens = clf.encode(text).tokens
    figure = grid_figure(np.ones((3, len(tokens))), tokens, scale="signed", unit=text, alt=text)
    labels = [*figure.layout.xaxis.ticktext, *(cell[0] for cell in figure.data[0].customdata[0])]
    for label in labels:
        assert not set("<>") & set(label)
        assert html.unescape(label).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") == label
        assert not any(character < " " for character in label)
    assert json.loads(figure.to_json())["layout"]["meta"]["alt"] == text


@MANY
@given(text=WHOLE.filter(readable))
def test_a_label_says_as_much_of_the_text_as_there_is_room_for(text: str) -> None:
    shown = html.unescape(plain(text, 14))
    assert 0 < len(shown) <= 14 * 3  # a joiner is spelled out in three letters
    harmless = [c for c in text.strip(" ") if c >= " " and c not in "\u200d\ufe0f"]
    assert all(c in [*harmless, *"⏎⇥·␣…ZWJVS"] for c in shown)


@MANY
@given(text=WHOLE.filter(readable))
def test_a_takeaway_quotes_a_token_and_reads_no_markup_in_it(text: str) -> None:
    runs = fill("ledger", "takeaway one token", source=quoted(text))
    model = fill("ledger", "takeaway one token", source="#")
    assert [strong for _, strong in runs] == [strong for _, strong in model]
    assert [part for part, _ in runs] == [part.replace("#", quoted(text)) for part, _ in model]
    assert len(quoted(text)) <= 26


# --- links ---

OPTIONS = st.dictionaries(st.sampled_from(["view", "head", "other"]), ANY)


def link(text: str, options: dict[str, str]) -> str:
    """What a browser's URLSearchParams writes: UTF-8, with a replacement character for half of a surrogate pair."""

    def whole(value: str) -> str:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    query = {"text": text, "model": "full", "chapter": "lens", **options}
    return urlencode({name: whole(value) for name, value in query.items()})


def read(query: str):
    known = {"models": ["full"], "chapters": ["predict", "lens"], "options": {"view", "head", "other"}}
    return read_query(QueryParams(query), text="the first text", **known)


@MANY
@given(text=WHOLE.filter(readable), options=st.dictionaries(st.sampled_from(["view", "head", "other"]), WHOLE))
def test_a_link_gives_back_the_text_and_the_options(text: str, options: dict[str, str]) -> None:
    state = read(link(text, options))
    assert (state.text, state.chapter, state.options) == (text, "lens", options)


@MANY
@given(text=ANY, options=OPTIONS, repeats=st.sampled_from([1, 1, 700]))
def test_a_link_to_any_text_opens(text: str, options: dict[str, str], repeats: int, clf: Classifier) -> None:
    state = read(link(text * repeats, options))
    assert len(state.text) <= MOST_CHARACTERS
    assert all(len(value) <= MOST_OF_AN_OPTION for value in state.options.values())
    assert len(clf.encode(state.text)) > 0  # nothing that a link can bring is refused


@MANY
@given(query=st.binary(max_size=60))
@example(query=b"text=%ED%A0%80")
@example(query=b"text=%00")
@example(query=b"text=%ff%fe&text=&view=%")
def test_a_query_of_any_bytes_opens(query: bytes, clf: Classifier) -> None:
    state = read_query(QueryParams(query), text="the first text", models=["full"], chapters=["predict"], options={"a"})
    assert len(clf.encode(state.text)) > 0
