from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import tiny_tokenizer

from gpt2cls_core.errors import DataError
from gpt2cls_core.training.data import (
    LabelledTexts,
    clean_markup,
    load_and_hold_out,
    load_labelled,
    load_split,
    load_texts,
    naturalise,
    split_sentences,
    vary,
)
from gpt2cls_core.training.examples import SHORT, Examples, in_batches, make_examples

from .conftest import write_split


@pytest.mark.parametrize(
    ("tokenised", "typed"),
    [
        ("it 's a charming and often affecting journey . ", "it's a charming and often affecting journey."),
        ("do n't -lrb- really -rrb- bother ...", "don't (really) bother..."),
        ("`` so bad , it 's good '' , they say", '"so bad, it\'s good", they say'),
        ("a ` clever ' film !", "a 'clever' film!"),
        ("it cost $ 5 ; i 'd pay 50 % more", "it cost $5; i'd pay 50% more"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_naturalise(tokenised: str, typed: str) -> None:
    assert naturalise(tokenised) == typed


def test_clean_markup_keeps_paragraphs_and_nothing_else() -> None:
    assert clean_markup(" One. <br /><br />Two\t  three.<br>Four ") == "One.\nTwo three.\nFour"


def test_vary_changes_only_case_and_the_final_stop() -> None:
    generator = random.Random(0)
    text = "what i like: a film that ends well."
    varied = {vary(text, generator) for _ in range(300)}
    assert {t.lower().rstrip(".!") for t in varied} == {text.rstrip(".")}
    assert text.upper() in varied  # 1 in 50 shouts
    assert len(varied) > 5
    assert all(vary(".", generator) for _ in range(50))  # never empty


def test_load_reads_both_layouts(sentences: str, reviews: str) -> None:
    assert len(load_labelled(sentences, "validation")) == 7
    assert "\n" in load_texts(reviews, "train")[0]
    assert set(load_labelled(reviews, "test").labels) == {0, 1}


def test_load_says_which_splits_there_are(reviews: str) -> None:
    with pytest.raises(DataError, match=r"has no split 'validation' \(it holds: test, train\)"):
        load_split(reviews, "validation")


def test_load_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no parquet file"):
        load_split(str(tmp_path), "train")
    write_split(tmp_path, "train", review=["a", "b"], label=[0, 1])
    with pytest.raises(DataError, match="needs a column 'text' or 'sentence'; it has"):
        load_split(str(tmp_path), "train")
    write_split(tmp_path, "raw", text=["a", "b"])
    assert load_texts(str(tmp_path), "raw") == ["a", "b"]
    with pytest.raises(DataError, match="no column 'label'"):
        load_labelled(str(tmp_path), "raw")
    write_split(tmp_path, "one", text=["a", "b"], label=[1, 1])
    with pytest.raises(DataError, match=r"labels 0 and 1, both of them; it holds \[1\]"):
        load_labelled(str(tmp_path), "one")
    write_split(tmp_path, "stars", text=["a", "b"], label=[1, 5])
    with pytest.raises(DataError, match=r"it holds \[1, 5\]"):
        load_labelled(str(tmp_path), "stars")
    write_split(tmp_path, "named", text=["a", "b"], label=["pos", "neg"])
    with pytest.raises(DataError, match=r"it holds \['neg', 'pos'\]"):
        load_labelled(str(tmp_path), "named")
    write_split(tmp_path, "holed", text=["a", "b", None], label=[0, 1, None])
    with pytest.raises(DataError, match=r"it holds \[0.0, 1.0, None\]|it holds \[0, 1, None\]"):
        load_labelled(str(tmp_path), "holed")
    with pytest.raises(DataError, match=r"\(holed\), row 2: 'text' is None, not a text"):
        load_texts(str(tmp_path), "holed")
    (tmp_path / "broken.parquet").write_text("not parquet")
    with pytest.raises(DataError, match="'broken', could not be read; write the file again"):
        load_split(str(tmp_path), "broken")


def test_load_of_an_unknown_hub_name_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"'nobody/nothing'.*check name and network, or give a folder"):
        load_split("nobody/nothing", "train")


def test_held_out_sentences_are_not_seen_in_pieces() -> None:
    # All begin with the same words, as film reviews do.
    sentences = [f"this is a film that some may like, w{i} x{i} y{i} z{i}." for i in range(10)]
    quoted = [f"they say: {sentence}" for sentence in sentences]
    texts = [*sentences, *quoted, *(f"w{i} x{i} y{i}" for i in range(10)), "more words"]
    train, held_out = split_sentences(LabelledTexts(texts, [0] * len(texts)), held_out=4, seed=3)
    assert len(held_out) == 4
    assert not any(piece in whole for whole in held_out.texts for piece in train.texts if len(piece.split()) > 2)
    assert not any(whole in text for whole in held_out.texts for text in train.texts)
    assert "more words" in train.texts  # two words give nothing away
    with pytest.raises(DataError, match="hold out 99 full sentences, but there are only 20"):
        split_sentences(LabelledTexts(texts, [0] * len(texts)), held_out=99, seed=0)


def test_hold_out_is_the_same_every_time_and_apart(sentences: str, reviews: str) -> None:
    train, held_out = load_and_hold_out(reviews)
    assert (len(train), len(held_out)) == (76, 4)  # 5 % of 80
    assert sorted(train.texts + held_out.texts) == sorted(load_texts(reviews, "train"))
    assert load_and_hold_out.__wrapped__(reviews)[1].texts == held_out.texts  # read anew, not kept
    train, held_out = load_and_hold_out(sentences)
    assert len(held_out) == 6  # 5 % of 120, full sentences
    assert len(train) == 120 - 2 * 6  # their last words went with them
    assert [len(part) for part in load_and_hold_out(reviews, limit=3)] == [3, 3]


def test_examples_show_short_texts_whole_and_ends_of_long_ones() -> None:
    long = " ".join(["good film but not for me"] * 30)
    tokenizer = tiny_tokenizer(100)
    examples = make_examples(LabelledTexts(["good film", long], [1, 0]), tokenizer, passes=40, context=100, seed=0)
    assert examples.labels == [1, 0] * 40
    shown = {tokenizer.decode(ids) for ids in examples.ids[0::2]}
    assert {text.lower().rstrip(".!") for text in shown} == {"good film"}
    assert len(shown) > 3  # retyped on every pass
    assert all(tokenizer.decode(ids) in long and long.endswith(tokenizer.decode(ids)) for ids in examples.ids[1::2])
    lengths = {len(ids) for ids in examples.ids[1::2]}
    assert SHORT <= min(lengths) < max(lengths) <= 100 and len(lengths) > 15


def test_batches_hold_texts_of_like_length_and_lose_none() -> None:
    lengths = random.Random(0).choices(range(1, 60), k=103)
    examples = Examples([[i] * n for i, n in enumerate(lengths)], list(range(103)))
    ordered = in_batches(examples, 10, seed=1)
    assert sorted(ordered.labels) == list(range(103))
    assert all(ids[0] == label for ids, label in zip(ordered.ids, ordered.labels, strict=True))
    batches = [[len(ids) for ids in ordered.ids[i : i + 10]] for i in range(0, 103, 10)]
    assert [len(b) for b in batches] == [10] * 10 + [3]
    padded = sum(max(b) * len(b) for b in batches)
    assert padded < 1.2 * sum(lengths)  # at random about twice the sum
    means = [sum(b) / len(b) for b in batches[:-1]]
    assert means != sorted(means)  # batches come in random order
    assert in_batches(examples, 10, seed=1).labels == ordered.labels


def test_a_draw_has_as_many_of_each_class_and_grows_by_adding() -> None:
    data = LabelledTexts([f"text {i}" for i in range(40)], [int(i % 4 == 0) for i in range(40)])  # 30 of 0, 10 of 1
    small, large = data.draw(7, seed=3), data.draw(20, seed=3)
    assert (small.labels.count(0), small.labels.count(1)) == (4, 3)
    assert (large.labels.count(0), large.labels.count(1)) == (10, 10)
    assert set(small.texts) < set(large.texts)
    assert all(
        data.labels[data.texts.index(text)] == label for text, label in zip(large.texts, large.labels, strict=True)
    )
    assert data.draw(7, seed=4).texts != small.texts
    assert len(set(large.labels[:10])) == 2  # mixed, not one class after the other
    with pytest.raises(DataError, match=r"22 texts with as many of each class are more than there are \(30 and 10\)"):
        data.draw(22, seed=3)
