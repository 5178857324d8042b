"""The language model against arithmetic on paper and Hugging Face, and everything that is refused as one."""

from __future__ import annotations

import copy
import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import END_OF_TEXT, TEXT, edit_config, randomise, tiny_config, tiny_tokenizer
from transformers import GPT2LMHeadModel

from gpt2cls_core import (
    Classifier,
    Encoding,
    LanguageModel,
    ModelError,
    TextError,
    load_base,
    nearest_words,
    next_token_lens,
    read_states,
    trace,
)

# Two routes through the same float32 model differ in the order of summing: 1e-5 on numbers of size 1 to 10.
ROUNDING = {"atol": 1e-5, "rtol": 1e-5}


def save(folder: Path, **changes: object) -> Path:
    randomise(GPT2LMHeadModel(tiny_config(**changes)), seed=3).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("language") / "tiny")


@pytest.fixture(scope="module")
def base(saved: Path) -> LanguageModel:
    return load_base(saved)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(saved, tmp_path / "copy")


def sliced(encoding: Encoding, n: int) -> Encoding:
    """The first `n` tokens as a text of their own."""
    return dataclasses.replace(
        encoding, input_ids=encoding.input_ids[:n], tokens=encoding.tokens[:n], offsets=encoding.offsets[:n]
    )


# --- by hand ---


def test_a_prediction_worked_out_by_hand(base: LanguageModel) -> None:
    model = copy.deepcopy(base.model)
    for parameter in model.parameters():
        parameter.fill_(0)
    hand, pattern = dataclasses.replace(base, model=model), torch.tensor([1.0, -1] * 5)
    good, film = (base.tokenizer.convert_tokens_to_ids(token) for token in ("good", "Ġfilm"))
    n_tokens = len(model.transformer.wte.weight)
    model.transformer.wte.weight[good] = math.log(2) / 10 * pattern
    model.transformer.wte.weight[film] = math.log(n_tokens) / 10 * pattern
    model.transformer.wpe.weight[0] = 5 * pattern  # nothing but a size, which ln_f takes off
    model.transformer.ln_f.weight.fill_(1)
    states = read_states(hand, "good")
    torch.testing.assert_close(states.resid[3, 0], (5 + math.log(2) / 10) * pattern)  # default float32 tolerance
    # exp(logit) is V for " film", 2 for "good" and 1 for the V − 2 others: V of 2V, and 2 of 2V
    (first, p_first), (second, p_second) = next_token_lens(hand, states, top=2).at(-1, -1)
    assert (first, second) == (" film", "good")
    assert p_first == pytest.approx(1 / 2, abs=1e-5)  # float32
    assert p_second == pytest.approx(1 / n_tokens, abs=1e-6)


# --- identities ---


def test_every_prefix_has_the_states_of_the_whole_text(base: LanguageModel) -> None:
    whole = read_states(base, TEXT)
    for n in range(1, 8):
        part = read_states(base, sliced(whole.encoding, n))
        assert part.tokens == whole.tokens[:n]
        torch.testing.assert_close(part.resid, whole.resid[:, :n], **ROUNDING)


def test_a_text_and_its_encoding_are_read_alike(base: LanguageModel) -> None:
    assert read_states(base, base.encode(TEXT)).resid.equal(read_states(base, TEXT).resid)


def test_of_a_classifier_the_states_are_those_of_its_trace(clf: Classifier) -> None:
    states, read = read_states(clf, TEXT), trace(clf, TEXT)
    assert states.resid.equal(read.resid) and states.tokens == read.tokens


def test_layer_0_is_token_and_position_embedding(base: LanguageModel) -> None:
    states = read_states(base, TEXT)
    expected = base.body.wte.weight[states.encoding.input_ids] + base.body.wpe.weight[:7]
    assert states.resid[0].equal(expected)


def test_end_of_text_is_read_as_typed(base: LanguageModel) -> None:
    encoding = base.encode(END_OF_TEXT)
    assert 0 not in encoding.input_ids
    assert "".join(encoding.tokens) == END_OF_TEXT[-len("".join(encoding.tokens)) :]


def test_the_model_is_ready_to_be_read(base: LanguageModel) -> None:
    assert not base.model.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in base.model.parameters())
    assert base.unembedding.data_ptr() == base.body.wte.weight.data_ptr()  # tied, as GPT-2's are


def test_hooks_are_gone_after_an_exception(base: LanguageModel) -> None:
    broken = dataclasses.replace(base, model=copy.deepcopy(base.model))
    broken.body.h[1].forward = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        read_states(broken, TEXT)
    assert not any(module._forward_hooks for module in broken.model.modules())


# --- by an independent route ---


def test_the_top_row_against_hugging_faces_logits(base: LanguageModel) -> None:
    states = read_states(base, TEXT)
    with torch.no_grad():
        logits = base.model(states.encoding.input_ids[None]).logits[0]
    for position in range(7):
        expected = logits[position].softmax(0).sort(descending=True)
        lens = next_token_lens(base, states, top=3)
        assert lens.ids[-1, position].equal(expected.indices[:3])
        torch.testing.assert_close(lens.probabilities[-1, position], expected.values[:3], **ROUNDING)


def test_nearest_words_of_a_language_model_against_a_loop(base: LanguageModel) -> None:
    vector = read_states(base, TEXT).resid[1, 4]
    rows = base.model.transformer.wte.weight.tolist()
    size = math.sqrt(sum(x * x for x in vector.tolist()))
    cosines = [
        sum(a * b for a, b in zip(row, vector.tolist(), strict=True)) / size / math.sqrt(sum(a * a for a in row))
        for row in rows
    ]
    found = nearest_words(base, vector, top=7)
    assert found.cosines.tolist() == pytest.approx(sorted(cosines, reverse=True)[:7], abs=1e-6)  # float32


# --- failures ---


def without_tokenizer(folder: Path) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: edit_config(f, architectures=None), " is a model of unnamed architecture. A language model "),
        (lambda f: edit_config(f, architectures=["GPT2Model"]), " is a GPT2Model. A language model (GPT2LMHeadModel) "),
        (lambda f: edit_config(f, n_layer=2), " leaves out, such as transformer.h.2.attn.c_attn.weight; is n_layer "),
        (lambda f: (f / "config.json").write_text("{"), "can't be loaded: check name, files and network. (It looks "),
        (lambda f: (f / "config.json").unlink(), "can't be loaded: check name, files and network. ("),
        (lambda f: (f / "model.safetensors").unlink(), "can't be loaded: check name, files and network. ("),
        (without_tokenizer, " holds no tokenizer. Save it there with tokenizer.save_pretrained()."),
    ],
)
def test_a_folder_that_is_no_whole_language_model(folder: Path, damage: Callable, message: str) -> None:
    damage(folder)
    with pytest.raises(ModelError) as raised:
        load_base(folder)
    assert message in str(raised.value)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_tokenizer_that_knows_more_tokens_than_the_model(tmp_path: Path) -> None:
    folder, known = save(tmp_path / "small", vocab_size=260), len(tiny_tokenizer())
    with pytest.raises(ModelError, match=rf"small knows {known} tokens and the model only 260; they do not belong "):
        load_base(folder)


def test_texts_that_cannot_be_read(base: LanguageModel) -> None:
    for text, message in [("", "There is no text to read yet"), (7, "must be a string, not int")]:
        with pytest.raises(TextError, match=message):
            read_states(base, text)
