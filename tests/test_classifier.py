"""Loading and encoding: what is accepted is right, and what is refused says why."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import END_OF_TEXT, TEXT, edit_config, randomise, save_tiny, tiny_config, tiny_tokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import processors
from transformers import BertConfig, BertForSequenceClassification, GPT2ForSequenceClassification, GPT2LMHeadModel

import gpt2cls_core
from gpt2cls_core import Classifier, Gpt2clsError, ModelError, OptionError, TextError, bundled_names, load_classifier


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny classifier that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A classifier whose context no text here overruns."""
    return load_classifier(save_tiny(tmp_path_factory.mktemp("wide"), 2, context=600))


# --- by hand ---


def test_encoding_of_a_sentence_worked_out_by_hand(clf: Classifier) -> None:
    encoding = clf.encode(TEXT)
    assert encoding.tokens == ("good", " film", ",", " but", " not", " for", " me")
    assert encoding.offsets == ((0, 4), (4, 9), (9, 10), (10, 14), (14, 18), (18, 22), (22, 25))
    assert [word.text for word in encoding.words] == ["good", "film", ",", "but", "not", "for", "me"]
    assert encoding.input_ids.shape == (7,)
    assert encoding.input_ids.dtype == torch.int64
    assert (len(encoding), encoding.tokens_cut, encoding.text) == (7, 0, TEXT)


def test_a_text_longer_than_the_context_keeps_its_end(clf: Classifier) -> None:
    encoding = clf.encode("good" + " not" * 12 + " film me")  # 15 tokens, 3 more than the context
    not_, film, me = (clf.tokenizer.get_vocab()[token] for token in ("Ġnot", "Ġfilm", "Ġme"))
    assert encoding.tokens_cut == 3
    assert encoding.tokens == (*[" not"] * 10, " film", " me")
    assert encoding.input_ids.tolist() == [*[not_] * 10, film, me]
    assert (encoding.offsets[0], encoding.offsets[-1]) == ((12, 16), (57, 60))
    assert (encoding.words[0].start, encoding.words[-1].stop) == (0, 12)
    assert encoding.text.startswith("good"), "the whole text is kept"


def test_a_text_of_exactly_the_context_is_not_cut(clf: Classifier) -> None:
    assert clf.encode("good" + " not" * 11).tokens_cut == 0


def test_number_of_parameters_worked_out_by_hand(clf: Classifier) -> None:
    block = 2 * 20 + (10 * 30 + 30) + (10 * 10 + 10) + (10 * 40 + 40) + (40 * 10 + 10)  # LayerNorms, attention, MLP
    assert clf.n_parameters == 280 * 10 + 12 * 10 + 3 * block + 20 + 5 * 10


def test_sizes_come_from_the_config(clf: Classifier) -> None:
    assert (clf.n_layer, clf.n_head, clf.d_model, clf.context) == (3, 2, 10, 12)
    assert clf.score.shape == (5, 10)
    assert repr(clf).endswith("3 layers, d_model 10, labels=['LABEL_0', 'LABEL_1', 'LABEL_2', 'LABEL_3', 'LABEL_4'])")


def test_the_margin_of_two_classes_speaks_for_class_one_even_if_it_loses(clf2: Classifier) -> None:
    assert clf2.target(None, torch.tensor([5.0, -5.0])) == (1, 0)
    assert clf2.target("negative", torch.tensor([5.0, -5.0])) == (0, 1)


def test_of_more_classes_the_winner_is_explained_against_the_second(clf: Classifier) -> None:
    logits = torch.tensor([0.0, 3.0, 2.0, 4.0, 1.0])
    assert clf.target(None, logits) == (3, 1)
    assert clf.target(2, logits) == (2, 3)
    assert clf.target("LABEL_1", logits) == (1, 3)
    assert logits[3] == 4.0, "the logits are left as they were"


# --- identities ---


def test_a_loaded_model_is_eager_float32_frozen_and_in_evaluation_mode(clf: Classifier) -> None:
    assert clf.model.config._attn_implementation == "eager"
    assert not any(module.training for module in clf.model.modules())
    assert {(p.dtype, p.requires_grad) for p in clf.model.parameters()} == {(torch.float32, False)}


TRICKY = ["<|endoftext|>", "👩‍👩‍👧", "é", "\u3000", "’", "\n\n", "\x00", "\ufeff", "<b>", " good", "\u200b", "مرحبا"]
TEXTS = st.lists(st.sampled_from(TRICKY) | st.text(max_size=8), min_size=1, max_size=8).map("".join).filter(str.strip)


@settings(deadline=None, max_examples=200, database=None)
@given(text=TEXTS)
@example(text="<|endoftext|>")
def test_any_unicode_text_is_encoded_without_loss(wide: Classifier, text: str) -> None:
    encoding = wide.encode(text)
    starts, ends = zip(*encoding.offsets, strict=True)
    assert len(encoding.tokens) == len(encoding.input_ids) == len(encoding.offsets) == len(encoding) > 0
    assert list(starts) == sorted(starts)
    assert list(ends) == sorted(ends)
    assert (starts[0], ends[-1]) == (0, len(text))
    assert [i for word in encoding.words for i in range(word.start, word.stop)] == list(range(len(encoding)))
    assert wide.tokenizer.decode(encoding.input_ids, skip_special_tokens=False) == text


@settings(deadline=None, max_examples=100, database=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=6))
@example(text="\ud800")
@example(text="good \udfff")
@example(text="\u2028 \x1f")
def test_any_string_at_all_is_encoded_or_refused_by_name(clf: Classifier, text: str) -> None:
    try:
        encoding = clf.encode(text)
    except TextError:
        assert not text.strip() or any("\ud800" <= character <= "\udfff" for character in text)
    else:
        assert 0 < len(encoding) <= clf.context


# --- by an independent route ---


def test_ids_are_the_tokenizers_own(clf: Classifier) -> None:
    vocabulary = clf.tokenizer.get_vocab()
    spelled = ["good", "Ġfilm", ",", "Ġbut", "Ġnot", "Ġfor", "Ġme"]
    assert clf.encode(TEXT).input_ids.tolist() == [vocabulary[token] for token in spelled]


def test_a_tokenizer_that_adds_an_end_token_adds_none_here(clf: Classifier) -> None:
    tokenizer = copy.deepcopy(clf.tokenizer)
    ending = processors.TemplateProcessing(single=f"$A {END_OF_TEXT}", special_tokens=[(END_OF_TEXT, 0)])
    tokenizer.backend_tokenizer.post_processor = ending
    assert tokenizer("good").input_ids[-1] == 0
    assert dataclasses.replace(clf, tokenizer=tokenizer).encode("good").tokens == ("good",)


def test_loaded_weights_are_those_of_the_file(clf: Classifier, tiny_folder: Path) -> None:
    loaded = clf.model.state_dict()
    saved = load_file(tiny_folder / "model.safetensors")
    assert saved.keys() <= loaded.keys()
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)


def test_pickled_weights_are_never_asked_for(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    asked: list[dict] = []
    original = GPT2ForSequenceClassification.from_pretrained

    def spy(*args: object, **options: object) -> object:
        asked.append(options)
        return original(*args, **options)

    monkeypatch.setattr(GPT2ForSequenceClassification, "from_pretrained", spy)
    load_classifier(tiny_folder)  # of a folder it is known that it holds safetensors, of a hub id it is not
    assert [options["use_safetensors"] for options in asked] == [True]
    assert not any(options.get("trust_remote_code") for options in asked)


def test_half_precision_weights_are_loaded_as_float32(folder: Path) -> None:
    file = folder / "model.safetensors"
    halves = {key: tensor.half() for key, tensor in load_file(file).items()}
    save_file(halves, file, metadata={"format": "pt"})
    edit_config(folder, dtype="float16")
    score = load_classifier(folder).score
    assert score.dtype == torch.float32
    assert torch.equal(score, halves["score.weight"].float())


def test_an_old_checkpoint_that_holds_its_causal_mask_is_accepted(folder: Path) -> None:
    file = folder / "model.safetensors"
    masks = {"transformer.h.0.attn.bias": torch.ones(1, 1, 12, 12), "transformer.h.0.attn.masked_bias": torch.ones(1)}
    save_file({**load_file(file), **masks}, file, metadata={"format": "pt"})
    assert load_classifier(folder).n_layer == 3


# --- bundled models ---


def test_bundled_names_are_the_classifiers_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpt2cls_core.classifier, "BUNDLED", tmp_path)
    assert bundled_names() == []
    for name, architecture in (("b", "GPT2ForSequenceClassification"), ("lm", "GPT2LMHeadModel")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    for name, content in (("broken", "{"), ("list", "[1]"), ("null", '{"architectures": null}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    (tmp_path / "README.md").write_text("no folder")
    assert bundled_names() == ["b"]
    with pytest.raises(ModelError, match=r"There is no model 'c'\. Bundled: b\. Or give a folder or a hub id\."):
        load_classifier("c")


def test_a_bundled_model_is_loaded_by_name_with_its_card(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(gpt2cls_core.classifier, "BUNDLED", folder.parent)
    (folder / "card.json").write_text('{"accuracy": 0.875}')
    loaded = load_classifier("model")
    assert (loaded.name, loaded.card) == ("model", {"accuracy": 0.875})


def test_a_foreign_model_has_an_empty_card(clf: Classifier) -> None:
    assert clf.card == {}


# --- failures: texts ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no text to read yet. Type at least one word."),
        (" \t\n\u3000", "There is no text to read yet. Type at least one word."),
        (None, "The text must be a string, not NoneType."),
        (b"good", "The text must be a string, not bytes."),
        (["good"], "The text must be a string, not list."),
        ("x" * 100_001, "The text has 100,001 characters; shorten it to 100,000 or fewer."),
        ("ab\ud83d", "Character 3 is half of a surrogate pair, which is no character; remove it."),
    ],
    ids=["empty", "blanks", "none", "bytes", "list", "too-long", "surrogate"],
)
def test_an_unreadable_text_is_refused(clf: Classifier, text: object, message: str) -> None:
    with pytest.raises(TextError) as caught:
        clf.encode(text)
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)


def test_a_hundred_thousand_characters_are_read(clf: Classifier) -> None:
    encoding = clf.encode("x" * 100_000)
    assert (len(encoding), encoding.tokens_cut) == (12, 99_988)


# --- failures: options ---


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (5, "There is no class 5; the classes are 0 to 4."),
        (-1, "There is no class -1; the classes are 0 to 4."),
        ("great", "There is no class 'great'; the classes are LABEL_0, LABEL_1, LABEL_2, LABEL_3, LABEL_4."),
        (1.0, "A class is a label or a whole number, not 1.0."),
    ],
)
def test_a_class_that_does_not_exist_is_refused(clf: Classifier, target: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        clf.target(target, torch.zeros(5))
    assert str(caught.value) == message


def test_a_class_may_come_as_a_one_element_tensor(clf: Classifier) -> None:
    assert clf.target(torch.tensor(2), torch.arange(5.0)) == (2, 4)


# --- failures: checkpoints ---


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def other_weights(**changes: torch.Tensor | None) -> Callable[[Path], None]:
    """Change (a tensor) or drop (None) weights by name, with "__" for "."."""

    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        kept = {**load_file(file), **{key.replace("__", "."): value for key, value in changes.items()}}
        save_file({key: value for key, value in kept.items() if value is not None}, file, metadata={"format": "pt"})

    return damage


def config(**changes: object) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **changes)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_content(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def become_language_model(folder: Path) -> None:
    randomise(GPT2LMHeadModel(tiny_config())).save_pretrained(folder)


def become_bert(folder: Path) -> None:
    small = BertConfig(hidden_size=6, num_hidden_layers=1, num_attention_heads=2, intermediate_size=7, vocab_size=9)
    BertForSequenceClassification(small).save_pretrained(folder)


def one_label(folder: Path) -> None:
    GPT2ForSequenceClassification(tiny_config(1)).save_pretrained(folder)


def small_vocabulary(folder: Path) -> None:
    GPT2ForSequenceClassification(tiny_config(vocab_size=100)).save_pretrained(folder)


DAMAGED = "can't be read; one is damaged or incomplete. Save or download them again."


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncate, DAMAGED),
    "empty weights": (with_content("model.safetensors", ""), DAMAGED),
    "broken config": (with_content("config.json", "{"), DAMAGED),
    "broken tokenizer": (with_content("tokenizer.json", "{"), DAMAGED),
    "other sizes": (config(n_embd=12), DAMAGED),
    "only pickles": (only_pickles, "only pickled weights, which are not loaded because they can run code. Save it"),
    "no weights": (
        without("model.safetensors"),
        "holds no weights. Save it with save_pretrained(), which writes safetensors.",
    ),
    "no config": (without("config.json"), "holds no config.json. Save the model there with save_pretrained()."),
    "no tokenizer": (without("tokenizer.json"), "holds no tokenizer. Save it there with tokenizer.save_pretrained()."),
    "BERT": (become_bert, "is a bert model. Only GPT-2 sequence classifiers can be explained here."),
    "language model": (
        become_language_model,
        "has no trained head (score.weight). It is no classifier yet: fine-tune it first.",
    ),
    "one label": (one_label, "has 1 output; a classifier needs two classes or more."),
    "NaN": (other_weights(score__weight=torch.full((5, 10), torch.nan)), "holds weights that are not numbers (NaN or"),
    "infinite": (
        other_weights(transformer__ln_f__bias=torch.full((10,), torch.inf)),
        "holds weights that are not numbers (NaN or infinite). Train or export it again.",
    ),
    "one weight missing": (
        other_weights(transformer__ln_f__weight=None),
        "does not hold all weights; missing: transformer.ln_f.weight.",
    ),
    "one bias missing whose name ends as the causal mask's": (
        other_weights(transformer__h__1__attn__c_attn__bias=None),
        "does not hold all weights; missing: transformer.h.1.attn.c_attn.bias.",
    ),
    "a block too few": (config(n_layer=4), "does not hold all weights; missing: transformer.h.3.attn.c_attn.bias, "),
    "a block too many": (
        config(n_layer=2),
        "holds weights that its config.json leaves out, such as transformer.h.2.attn.c_attn.weight; is n_layer right?",
    ),
    "another tokenizer": (small_vocabulary, "knows 280 tokens and the model only 100; they do not belong together."),
    "broken card": (with_content("card.json", "{"), "card.json is not valid JSON; write it again or remove it."),
    "card of another kind": (with_content("card.json", "[1]"), "card.json must hold a JSON object, not a list; write"),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_checkpoint_is_refused_with_what_to_do(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    with pytest.raises(ModelError) as caught:
        load_classifier(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_slow_tokenizer_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(type(tiny_tokenizer()), "is_fast", False)
    with pytest.raises(ModelError, match=r"has no fast tokenizer \(tokenizer\.json\), which is needed to place tokens"):
        load_classifier(folder)


@pytest.mark.parametrize("name", ["fulll", "no/such/folder", "./nobody/nothing", "/nowhere"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_classifier(name)
    assert str(caught.value).startswith(f"There is no model {name!r}. Bundled: ")
    assert str(caught.value).endswith(". Or give a folder or a hub id.")


def test_a_hub_id_without_network_says_what_else_to_do() -> None:
    message = "nobody/nothing could not be loaded from the Hugging Face hub: check the id and the network, or use a"
    with pytest.raises(ModelError) as caught:
        load_classifier("nobody/nothing")
    assert str(caught.value).startswith(message)
    assert "or a local folder" in str(caught.value)


def test_every_error_is_caught_by_the_base_class() -> None:
    assert all(issubclass(kind, Gpt2clsError) for kind in (TextError, ModelError, OptionError, gpt2cls_core.DataError))
    assert not issubclass(TextError, ModelError)
