"""Virtual tokens are tokens: every method reads them as columns, and the text behind them is read as ever."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from adapters import drawn, save_base, save_changes
from conftest import TEXT
from torch import nn

from gpt2cls_core import (
    Classifier,
    Encoding,
    LanguageModel,
    OptionError,
    Trace,
    attention_rollout,
    class_lens,
    cut_attention,
    gradient_weighted_rollout,
    head_products,
    integrated_gradients,
    load_base,
    load_classifier,
    margin_ledger,
    nearest_words,
    next_token_lens,
    patch_grid,
    predict,
    predict_batch,
    swap_word,
    trace,
    vector_at,
)
from gpt2cls_core.cloud import last_token_states
from gpt2cls_core.soft_prompt import PromptedEmbedding, virtual_ids, with_virtual_ids

SHOWN = ("⟦1⟧", "⟦2⟧", "⟦3⟧")
ROUNDING = {"atol": 1e-4, "rtol": 1e-4}  # float32 through two routes, logits of size 1 to 10


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Three virtual tokens before every text, room for nine of its own."""
    return load_classifier(save_changes(save_base(tmp_path_factory.mktemp("shelf") / "base"), "prompt"))


@pytest.fixture(scope="module")
def base(prompted: Classifier) -> LanguageModel:
    return load_base(Path(prompted.name).parent / "base")


@pytest.fixture(scope="module")
def encoding(prompted: Classifier) -> Encoding:
    return prompted.encode(TEXT)


@pytest.fixture(scope="module")
def read(prompted: Classifier) -> Trace:
    return trace(prompted, TEXT)


# --- by hand ---


def test_rows_of_the_embedding_by_hand() -> None:
    base = nn.Embedding(2, 2, _weight=torch.tensor([[1.0, 2], [3, 4]]))
    wte = PromptedEmbedding(base, nn.Parameter(torch.tensor([[5.0, 6], [7, 8], [9, 10]])))
    assert wte(torch.tensor([[4, 1], [2, 0]])).tolist() == [[[9, 10], [3, 4]], [[5, 6], [1, 2]]]
    assert wte.weight.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert (wte.n_virtual, wte.num_embeddings) == (3, 5)
    wte(torch.tensor([2, 0, 2])).sum().backward()
    assert wte.prompt.grad.tolist() == [[2, 2], [0, 0], [0, 0]]


def test_the_encoding_of_a_text_by_hand(prompted: Classifier, base: LanguageModel, encoding: Encoding) -> None:
    plain, vocabulary = base.encode(TEXT), len(prompted.tokenizer)
    assert encoding.tokens == (*SHOWN, "good", " film", ",", " but", " not", " for", " me")
    assert encoding.input_ids.tolist() == [vocabulary, vocabulary + 1, vocabulary + 2, *plain.input_ids.tolist()]
    assert encoding.offsets == ((0, 0),) * 3 + plain.offsets
    assert [(w.text, w.start, w.stop) for w in encoding.words[:4]] == [
        (t, i, i + 1) for i, t in enumerate((*SHOWN, "good"))
    ]
    assert (len(encoding), encoding.n_virtual, encoding.text, encoding.tokens_cut) == (10, 3, TEXT, 0)
    assert plain.n_virtual == 0


def test_a_long_text_leaves_room_for_the_prompt(prompted: Classifier) -> None:
    encoding = prompted.encode("good" + " not" * 12)
    assert (len(encoding), encoding.tokens_cut) == (12, 4)
    assert encoding.tokens == (*SHOWN, *[" not"] * 9)
    assert predict(prompted, "good" + " not" * 12).n_tokens == 12


def test_virtual_ids_go_before_a_batch(prompted: Classifier) -> None:
    ids, mask = with_virtual_ids(prompted.body, torch.tensor([[5, 6], [7, 0]]), torch.tensor([[1, 1], [1, 0]]))
    first = len(prompted.tokenizer)
    assert ids.tolist() == [[first, first + 1, first + 2, 5, 6], [first, first + 1, first + 2, 7, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert len(virtual_ids(prompted.base.transformer)) == 0


# --- identities, method by method ---


def test_a_trace_has_columns_for_them(prompted: Classifier, read: Trace, encoding: Encoding) -> None:
    assert read.tokens[:3] == SHOWN
    assert read.attention.shape == (3, 2, 10, 10)
    rows = torch.cat([drawn(3, 10), prompted.base.transformer.wte.weight[encoding.input_ids[3:]]])
    assert read.resid[0].equal(rows + prompted.body.wpe.weight[:10])


def test_rollout_flows_through_them(prompted: Classifier, read: Trace) -> None:
    rollout = attention_rollout(read)
    # float32 sums of ten numbers
    torch.testing.assert_close(rollout.weights.sum(-1), torch.ones(10), atol=1e-5, rtol=0)
    assert (rollout.weights[-1, :3] > 0).all()
    assert gradient_weighted_rollout(prompted, read).relevance.shape == (10, 10)


def test_integrated_gradients_book_what_the_prompt_did(prompted: Classifier, encoding: Encoding) -> None:
    found = integrated_gradients(prompted, TEXT, baseline="mean", n_steps=200)
    assert found.tokens[:3] == SHOWN
    # completeness at 200 Gauss-Legendre points; measured 1e-3 or less
    assert float(found.scores.sum()) == pytest.approx(found.margin_input - found.margin_baseline, abs=0.01)
    assert float(found.scores[:3].abs().min()) > 0
    mean = prompted.base.transformer.wte.weight.mean(0)  # of real words: the prompt's rows are none
    with torch.no_grad():
        hidden = prompted.body(inputs_embeds=mean.expand(1, 10, -1)).last_hidden_state[0, -1]
    logits = prompted.score @ hidden
    assert found.margin_baseline == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)


def test_ledger_lens_and_products_add_up(prompted: Classifier, read: Trace) -> None:
    margin = float(read.logits[1] - read.logits[0])
    ledger = margin_ledger(prompted, read)
    assert abs(ledger.residual) < 1e-4  # rounding of the model's own float32 sum
    assert ledger.by_source.shape == (3, 2, 10)
    assert class_lens(prompted, read).margin == pytest.approx(margin, abs=1e-4)
    assert float(head_products(prompted, read).products.sum()) == pytest.approx(margin, abs=1e-4)


def test_cutting_them_off_moves_the_verdict_to_what_the_text_alone_gives(
    prompted: Classifier, base: LanguageModel, read: Trace
) -> None:
    cut = cut_attention(prompted, read, [0, 1, 2])
    shifted = torch.arange(3, 10)[None]  # the text stays at its positions
    with torch.no_grad():
        hidden = base.body(input_ids=read.input_ids[None, 3:], position_ids=shifted).last_hidden_state[0, -1]
    torch.testing.assert_close(cut.logits_after, prompted.score @ hidden, **ROUNDING)
    assert abs(cut.change) > 0.01


def test_their_states_can_be_patched(prompted: Classifier, read: Trace) -> None:
    other = trace(prompted, swap_word(read.encoding, 7, "but"))
    grid = patch_grid(prompted, read, other)
    assert grid.margins.shape == (4, 10)
    assert grid.margins[:, :3].allclose(torch.full((4, 3), grid.margin_corrupted), atol=1e-4)  # no text reaches them
    with pytest.raises(OptionError):
        swap_word(read.encoding, 1, "bad")


# --- by an independent route ---


def test_logits_equal_those_of_the_vectors_given_as_embeddings(
    prompted: Classifier, base: LanguageModel, read: Trace
) -> None:
    rows = torch.cat([drawn(3, 10), base.body.wte(base.encode(TEXT).input_ids)])
    with torch.no_grad():
        hidden = base.body(inputs_embeds=rows[None]).last_hidden_state[0, -1]
    torch.testing.assert_close(read.logits, prompted.score @ hidden, **ROUNDING)


def test_batches_of_texts_are_read_one_by_one(prompted: Classifier) -> None:
    texts = ["good", TEXT, "not for me"]
    for text, prediction in zip(texts, predict_batch(prompted, texts), strict=True):
        torch.testing.assert_close(prediction.logits, trace(prompted, text).logits, **ROUNDING)
    states = last_token_states(prompted, [prompted.encode(text) for text in texts])
    for i, text in enumerate(texts):
        torch.testing.assert_close(states[:, i], trace(prompted, text).resid[:, -1], **ROUNDING)


def test_words_are_found_among_real_ones_only(prompted: Classifier, base: LanguageModel, read: Trace) -> None:
    vocabulary = len(prompted.tokenizer)
    assert prompted.unembedding.equal(base.unembedding)
    lens = next_token_lens(prompted, read, top=vocabulary)
    assert int(lens.ids.max()) == vocabulary - 1
    # all tokens there are
    torch.testing.assert_close(lens.probabilities.sum(-1), torch.ones(4, 10), atol=1e-5, rtol=0)
    row = drawn(3, 10)[1] + prompted.body.wpe.weight[1]  # a virtual token's own vector has no word of its own
    found = nearest_words(prompted, vector_at(read, 0, 1), top=1)
    cosine = torch.cosine_similarity(base.unembedding, row[None]).max()
    assert float(found.cosines[0]) == pytest.approx(float(cosine), abs=1e-5)
