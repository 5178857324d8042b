from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import randomise, tiny_config, tiny_tokenizer
from transformers import GPT2ForSequenceClassification

from gpt2cls_core.training.pooling import (
    READ_OUTS,
    LastTokenClassifier,
    collate,
    encode,
    last_token_vectors,
    middle_index,
    predict,
    read_hidden,
)

END = 0  # the end-of-text token, which also pads
IDS = [[5, 9, 7], [8], [3, 4, END, END], [6, 2, 11, 4, 9, 3]]


@pytest.fixture(scope="module")
def model() -> GPT2ForSequenceClassification:
    return randomise(GPT2ForSequenceClassification(tiny_config(5, 21))).eval()


def test_collate_pads_on_the_right_and_knows_each_end() -> None:
    batch = collate([{"input_ids": np.array(ids), "labels": n} for n, ids in enumerate(IDS[:2])], pad=END)
    assert {name: value.tolist() for name, value in batch.items()} == {
        "input_ids": [[5, 9, 7], [8, END, END]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
        "last_token_index": [2, 0],
        "labels": [0, 1],
    }
    assert "labels" not in collate([{"input_ids": [5]}], pad=END)


def test_logits_equal_those_of_each_text_alone(model: GPT2ForSequenceClassification) -> None:
    batch = collate([{"input_ids": ids} for ids in IDS], pad=END)
    with torch.no_grad():
        logits = LastTokenClassifier(model)(**batch)["logits"]
        for ids, row in zip(IDS, logits, strict=True):
            hidden = model.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
            # float32 sums in another order
            torch.testing.assert_close(row, model.score(hidden), rtol=0, atol=1e-5)


def test_a_text_that_ends_in_end_of_text_is_read_there(model: GPT2ForSequenceClassification) -> None:
    """Hugging Face's own pooling takes the end for padding and reads an earlier token."""
    ids = torch.tensor([IDS[2]])
    with torch.no_grad():
        ours = LastTokenClassifier(model)(**collate([{"input_ids": IDS[2]}], pad=END))["logits"]
        theirs = model(input_ids=ids).logits
        read = model.score(model.transformer(ids).last_hidden_state[0])  # (pos, class)
    torch.testing.assert_close(ours[0], read[-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(theirs[0], read[1], rtol=0, atol=1e-5)


def test_padding_is_never_read(model: GPT2ForSequenceClassification) -> None:
    batch = collate([{"input_ids": ids, "labels": 0} for ids in IDS], pad=END)
    other = collate([{"input_ids": ids, "labels": 0} for ids in IDS], pad=13)
    wide = {**batch, **{k: torch.nn.functional.pad(batch[k], (0, 4)) for k in ("input_ids", "attention_mask")}}
    with torch.no_grad():
        expected, *others = [LastTokenClassifier(model)(**b) for b in (batch, other, wide)]
    for output in others:
        torch.testing.assert_close(output["logits"], expected["logits"], rtol=0, atol=1e-5)
        torch.testing.assert_close(output["loss"], expected["loss"], rtol=0, atol=1e-5)
    model.zero_grad()
    LastTokenClassifier(model)(**collate([{"input_ids": ids, "labels": 1} for ids in IDS], pad=13))["loss"].backward()
    assert not model.transformer.wte.weight.grad[13].any()  # no gradient reaches the pad


def test_loss_is_the_mean_cross_entropy(model: GPT2ForSequenceClassification) -> None:
    output = LastTokenClassifier(model)(**collate([{"input_ids": i, "labels": n} for n, i in enumerate(IDS)], pad=END))
    by_hand = -output["logits"].log_softmax(-1)[range(4), range(4)].mean()
    torch.testing.assert_close(output["loss"], by_hand)


def test_encode_keeps_the_end_of_a_long_text_and_gives_an_empty_one_a_token() -> None:
    tokenizer = tiny_tokenizer()
    whole = tokenizer("good film but not for me")["input_ids"]
    ids = encode(tokenizer, ["good film but not for me", "", "good"], max_length=3)
    assert [row.tolist() for row in ids] == [whole[-3:], [END], whole[:1]]


def test_vectors_and_classes_come_in_the_order_of_the_texts(model: GPT2ForSequenceClassification) -> None:
    tokenizer = tiny_tokenizer(21)
    texts = ["good film but not for me " * 9, "good", "", "not for me", "bad film but good"]
    vectors = last_token_vectors(model.transformer, tokenizer, texts, max_length=21, batch_size=2)
    assert vectors.shape == (5, 10) and vectors.dtype == np.float32
    classes = predict(model, tokenizer, texts)
    for text, vector, chosen in zip(texts, vectors, classes, strict=True):
        ids = tokenizer(text)["input_ids"][-21:] or [END]
        with torch.no_grad():
            alone = model.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
        np.testing.assert_allclose(vector, alone.numpy(), rtol=0, atol=1e-5)
        assert chosen == int(model.score(alone).argmax())


def test_reading_elsewhere_by_hand() -> None:
    values = torch.arange(12.0).reshape(2, 6, 1)
    batch = collate([{"input_ids": [5, 9, 7, 3, 6, 2]}, {"input_ids": [8, 4]}], pad=END)
    assert read_hidden(values, **batch).flatten().tolist() == [5, 7]
    assert read_hidden(values, **batch, read_out="first").flatten().tolist() == [0, 6]
    assert read_hidden(values, **batch, read_out="mean").flatten().tolist() == [2.5, 6.5]
    middle, first = read_hidden(values, **batch, read_out="middle").flatten().tolist()
    assert 1 <= middle <= 4 and first == 6  # of two tokens none lies between


def test_a_middle_token_is_always_the_same_of_one_text_and_falls_anywhere() -> None:
    texts = [list(range(n, n + 9)) for n in range(60)]
    batch = collate([{"input_ids": ids} for ids in texts], pad=END)
    drawn = middle_index(batch["input_ids"], batch["last_token_index"])
    wider = torch.nn.functional.pad(batch["input_ids"], (0, 5))
    assert middle_index(wider, batch["last_token_index"]).equal(drawn)
    assert set(drawn.tolist()) == set(range(1, 8))


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_a_classifier_that_reads_elsewhere_predicts_as_it_was_trained(
    model: GPT2ForSequenceClassification, read_out: str
) -> None:
    tokenizer = tiny_tokenizer(21)
    texts = ["good film but not for me", "good", "bad film but good", "not for me"]
    ids = encode(tokenizer, texts, max_length=21)
    batch = collate([{"input_ids": row} for row in ids], pad=END)
    with torch.no_grad():
        logits = LastTokenClassifier(model, read_out=read_out)(**batch)["logits"]
    assert predict(model, tokenizer, texts, read_out=read_out).tolist() == logits.argmax(-1).tolist()
