"""The lens against arithmetic on paper, the classifier on every prefix, and Hugging Face's own heads."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from conftest import TEXT, edit_config, randomise, save_tiny, tiny_config, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from gpt2cls_core import (
    Classifier,
    LanguageModel,
    LensGrid,
    LensProbes,
    ModelError,
    OptionError,
    TextError,
    Trace,
    class_lens,
    load_base,
    load_classifier,
    load_lens_probes,
    next_token_lens,
    probe_lens,
    read_states,
    trace,
    vector_at,
)
from gpt2cls_core.cells import check_index
from gpt2cls_core.lens import VECTORS_AT_ONCE, next_tokens, vocabulary_texts
from gpt2cls_core.probes import save_lens_probes

# Two routes through the same float32 model differ in the order of summing: 1e-5 on logits of size 1 to 10.
ROUNDING = {"atol": 1e-5, "rtol": 1e-5}


def save_tiny_base(folder: Path, **changes: object) -> Path:
    model = randomise(GPT2LMHeadModel(tiny_config(**changes)), seed=3)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("tinybase"))


@pytest.fixture(scope="session")
def base(base_folder: Path) -> LanguageModel:
    return load_base(base_folder)


@pytest.fixture
def with_folder(tmp_path: Path) -> Classifier:
    """A two-class classifier with a folder that may be written to."""
    return load_classifier(save_tiny(tmp_path / "two", 2, seed=1))


def plain_head(clf: Classifier) -> Classifier:
    """A copy whose ``ln_f`` does nothing but normalise, and whose head reads 2 x_0 for class 1 and x_1 for class 0."""
    model = copy.deepcopy(clf.model)
    model.transformer.ln_f.weight.fill_(1)
    model.transformer.ln_f.bias.fill_(0)
    model.score.weight.fill_(0)
    model.score.weight[1, 0], model.score.weight[0, 1] = 2, 1
    return dataclasses.replace(clf, model=model)


def grid(*top: float, first: int = 0) -> LensGrid:
    """One layer under a top row that we choose."""
    margins = torch.tensor([[0.5] * len(top), list(top)])
    return LensGrid(("x",) * len(top), ("n", "p"), "head", margins, (margins > 0).long(), 1, 0, first)


# --- by hand ---


def test_two_cells_worked_out_by_hand(clf2: Classifier) -> None:
    clf = plain_head(clf2)
    tr = trace(clf, "good film")
    resid = torch.zeros(4, 2, 10)
    resid[:, :, ::2], resid[:, :, 1::2] = 1, -1  # mean 0, variance 1: LayerNorm leaves (1, −1, 1, −1, …) as it is
    resid[0, 0] = -3 * resid[0, 0]  # and takes the size off (−3, 3, −3, 3, …)
    lens = class_lens(clf, dataclasses.replace(tr, resid=resid))
    # margin = 2·1 − (−1) = 3, and −3 where the vector is turned round; LayerNorm's ε of 1e-5 takes half of that share
    torch.testing.assert_close(lens.margins[:, 0], torch.tensor([-3.0, 3, 3, 3]), atol=3e-5, rtol=0)
    assert lens.verdicts[:, 0].tolist() == [0, 1, 1, 1]
    assert (lens.target, lens.other, lens.reader) == (1, 0, "head")


@pytest.mark.parametrize(
    ("top", "flips", "settled"),
    [
        ((1.0, 2, 3), (), 0),
        ((1.0, -1, -2, 3), (1, 3), 3),
        ((-1.0, 0, 1), (2,), 2),  # a margin of 0 is not yet a verdict for the target
        ((4.0,), (), 0),
    ],
)
def test_flips_are_where_the_running_verdict_turns(top: tuple, flips: tuple, settled: int) -> None:
    lens = grid(*top)
    assert (lens.flips, lens.settled_token, lens.margin) == (flips, settled, top[-1])


def test_a_soft_prompts_virtual_tokens_turn_no_verdict() -> None:
    lens = grid(1, -1, 1, 1, -1, first=2)  # two virtual tokens, then a text of three
    assert (lens.flips, lens.settled_token) == ((4,), 4)
    never = grid(1, -1, 1, 1, first=2)
    assert (never.flips, never.settled_token) == ((), 2)


def test_settled_layer_is_the_lowest_from_which_the_sign_stays() -> None:
    lens = grid(1.0)
    for column, expected in [([1.0, 2, 3], 0), ([-1.0, 2, 3], 1), ([1.0, -2, 3], 2), ([-1.0, -2, -3], 0)]:
        assert dataclasses.replace(lens, margins=torch.tensor(column)[:, None]).settled_layer == expected


def test_a_probe_worked_out_by_hand(clf2: Classifier) -> None:
    tr = trace(clf2, "good film")
    resid = torch.zeros(4, 2, 10)
    resid[:, :, ::2], resid[:, :, 1::2] = 5, -5  # normalised: (1, −1, …)
    weights = torch.zeros(4, 10)
    weights[:, 0] = torch.tensor([0.0, 1, 2, 3])
    lens = probe_lens(clf2, dataclasses.replace(tr, resid=resid), LensProbes(weights, torch.full((4,), -1.5)))
    # LayerNorm's ε is 1e-5 beside a variance of 25
    torch.testing.assert_close(lens.margins[:, 1], torch.tensor([-1.5, -0.5, 0.5, 1.5]), atol=1e-5, rtol=0)
    assert lens.verdicts[:, 1].tolist() == [0, 0, 1, 1]
    assert lens.reader == "probe"


# --- identities ---


@pytest.mark.parametrize("text", [TEXT, "good", "not bad.", "bad film, good for me"])
@pytest.mark.parametrize("target", [None, 0, 3])
def test_the_top_row_is_the_classifier_on_every_prefix(clf: Classifier, text: str, target: int | None) -> None:
    tr = trace(clf, text)
    lens = class_lens(clf, tr, target=target)
    for length in range(1, len(tr.tokens) + 1):
        with torch.no_grad():
            logits = clf.model(input_ids=tr.input_ids[None, :length]).logits[0]  # Hugging Face's own pooling
        torch.testing.assert_close(lens.margins[-1, length - 1], logits[lens.target] - logits[lens.other], **ROUNDING)
        assert lens.verdicts[-1, length - 1] == logits.argmax()


@pytest.mark.parametrize("text", [TEXT, TEXT * 3])
def test_every_prefix_encoded_anew_ends_in_its_cell(clf2: Classifier, text: str) -> None:
    whole = trace(clf2, text)  # the longer one is cut at the context
    lens = class_lens(clf2, whole)
    margins = []
    for n in range(1, len(whole.tokens) + 1):
        encoding = dataclasses.replace(
            whole.encoding, input_ids=whole.input_ids[:n], tokens=whole.tokens[:n], offsets=whole.offsets[:n]
        )
        part = trace(clf2, encoding)
        margins.append(float(part.logits[1] - part.logits[0]))
        below = class_lens(clf2, part).margins
        torch.testing.assert_close(below, lens.margins[:, :n], **ROUNDING)  # no layer looks ahead
    torch.testing.assert_close(lens.margins[-1], torch.tensor(margins), **ROUNDING)
    turns = tuple(i for i in range(1, len(margins)) if (margins[i] > 0) != (margins[i - 1] > 0))
    assert lens.flips == turns


def test_the_top_right_cell_is_the_models_margin(clf2: Classifier) -> None:
    tr = trace(clf2, TEXT)
    lens = class_lens(clf2, tr)
    assert lens.margins.shape == (4, 7)
    assert lens.margin == pytest.approx(float(tr.logits[1] - tr.logits[0]), abs=1e-5)  # float32 rounding
    assert lens.at(-1, -1) == lens.at(3, 6) == lens.margin


def test_the_other_target_turns_every_sign(clf2: Classifier) -> None:
    tr = trace(clf2, TEXT)
    ones, zeros = class_lens(clf2, tr, target="positive"), class_lens(clf2, tr, target="negative")
    assert torch.equal(ones.margins, -zeros.margins)
    assert torch.equal(ones.verdicts, zeros.verdicts)
    probes = LensProbes(torch.randn(4, 10), torch.randn(4))
    ones, zeros = probe_lens(clf2, tr, probes, target=1), probe_lens(clf2, tr, probes, target=0)
    assert torch.equal(ones.margins, -zeros.margins)
    assert torch.equal(ones.verdicts, zeros.verdicts)


def test_probes_made_of_ln_f_and_the_head_are_the_raw_lens(clf2: Classifier) -> None:
    tr = trace(clf2, TEXT)
    head, norm = clf2.score[1] - clf2.score[0], clf2.body.ln_f
    probes = LensProbes((norm.weight * head).expand(4, -1), (norm.bias @ head).expand(4))
    torch.testing.assert_close(probe_lens(clf2, tr, probes).margins, class_lens(clf2, tr).margins, **ROUNDING)


def test_probabilities_of_all_tokens_sum_to_one(clf: Classifier, tr: Trace) -> None:
    n_tokens = len(clf.body.wte.weight)
    everything = next_token_lens(clf, tr, top=n_tokens)
    assert everything.probabilities.shape == (4, 7, n_tokens)
    total = everything.probabilities.sum(-1)
    torch.testing.assert_close(total, torch.ones(4, 7), atol=1e-5, rtol=0)  # 273 float32 numbers
    assert (everything.probabilities.diff(dim=-1) <= 0).all()
    assert everything.ids.sort(-1).values.equal(torch.arange(n_tokens).expand(4, 7, -1))


def test_texts_and_ids_of_a_cell_belong_together(base: LanguageModel) -> None:
    states = read_states(base, TEXT)
    lens = next_token_lens(base, states, top=3)
    assert [len(layer) for layer in lens.texts] == [7] * 4
    for layer in range(4):
        for position in range(7):
            assert lens.texts[layer][position] == tuple(vocabulary_texts(base, lens.ids[layer, position].tolist()))
    texts, probabilities = zip(*lens.at(2, -2), strict=True)
    assert texts == lens.texts[2][5]
    assert list(probabilities) == lens.probabilities[2, 5].tolist()
    assert (lens.model, lens.tokens) == (base.name, states.tokens)


def test_saved_probes_come_back(with_folder: Classifier) -> None:
    probes = LensProbes(torch.randn(4, 10), torch.randn(4))
    file = save_lens_probes(with_folder, probes)
    assert file == Path(with_folder.name) / "probes.safetensors"
    assert file.stat().st_size < 1000
    assert list(file.parent.glob("*.partial")) == []
    loaded = load_lens_probes(with_folder)
    assert loaded.weights.equal(probes.weights)
    assert loaded.bias.equal(probes.bias)


# --- independent routes ---


def test_every_cell_against_ln_f_and_head_by_loop(clf: Classifier, tr: Trace) -> None:
    lens = class_lens(clf, tr, target=2)
    norm, score = clf.body.ln_f, clf.score
    for layer in range(4):
        for position in range(7):
            x = tr.resid[layer, position]
            x = (x - x.mean()) / (x.var(unbiased=False) + norm.eps).sqrt() * norm.weight + norm.bias
            expected = float(x @ score[2] - x @ score[lens.other])
            assert lens.at(layer, position) == pytest.approx(expected, abs=1e-5)  # float32 rounding


def test_the_top_row_of_next_tokens_is_what_the_language_model_predicts(base: LanguageModel) -> None:
    states = read_states(base, TEXT)
    with torch.no_grad():
        output = base.model(input_ids=states.encoding.input_ids[None], output_hidden_states=True)
    expected = output.logits[0].softmax(-1).topk(5)
    lens = next_token_lens(base, states)
    torch.testing.assert_close(lens.probabilities[-1], expected.values, **ROUNDING)
    assert lens.ids[-1].equal(expected.indices)
    with torch.no_grad():  # a layer in the middle, through the language model's own modules
        middle = base.model.lm_head(base.model.transformer.ln_f(output.hidden_states[2]))[0].softmax(-1).topk(5)
    torch.testing.assert_close(lens.probabilities[2], middle.values, **ROUNDING)
    torch.testing.assert_close(states.resid[:-1], torch.cat(output.hidden_states[:-1]), **ROUNDING)


def test_a_language_model_and_a_classifier_with_one_body_read_alike(clf: Classifier, base: LanguageModel) -> None:
    model = copy.deepcopy(base.model)
    model.transformer.load_state_dict(clf.body.state_dict())
    twin = dataclasses.replace(base, model=model)
    tr, states = trace(clf, TEXT), read_states(twin, TEXT)
    torch.testing.assert_close(states.resid, tr.resid, **ROUNDING)  # sdpa there, eager attention here
    torch.testing.assert_close(
        next_token_lens(twin, states).probabilities, next_token_lens(clf, tr).probabilities, **ROUNDING
    )


def test_many_vectors_are_read_in_parts(clf: Classifier) -> None:
    vectors = torch.randn(VECTORS_AT_ONCE + 3, 10, generator=torch.Generator().manual_seed(0))
    ids, probabilities = next_tokens(clf, vectors, top=2)
    last_ids, last = next_tokens(clf, vectors[-3:], top=2)
    assert ids.shape == probabilities.shape == (VECTORS_AT_ONCE + 3, 2)
    assert ids[-3:].equal(last_ids)
    torch.testing.assert_close(probabilities[-3:], last, **ROUNDING)


# --- what a reader sees ---


def test_tokens_are_shown_as_text(clf: Classifier) -> None:
    tokenizer = clf.tokenizer
    film, part = tokenizer.convert_tokens_to_ids("Ġfilm"), tokenizer.convert_tokens_to_ids("Ł")
    assert vocabulary_texts(clf, [film, 0, part, film]) == [" film", "<|endoftext|>", "⟨Ł⟩", " film"]
    assert vocabulary_texts(clf, []) == []


def test_a_row_that_the_tokenizer_does_not_know_is_shown_by_number(tmp_path: Path) -> None:
    size = len(tiny_tokenizer())
    padded = load_base(save_tiny_base(tmp_path / "padded", vocab_size=size + 3))
    assert vocabulary_texts(padded, [size + 1]) == [f"⟨{size + 1}⟩"]


def test_a_long_text_keeps_its_end(base: LanguageModel) -> None:
    states = read_states(base, "good film " * 20)
    assert len(states.tokens) == 12
    assert states.encoding.tokens_cut > 0
    assert states.resid.shape == (4, 12, 10)


def test_one_token_is_a_grid_of_one_column(clf2: Classifier) -> None:
    lens = class_lens(clf2, trace(clf2, "good"))
    assert (lens.margins.shape, lens.flips, lens.settled_token) == ((4, 1), (), 0)


def test_results_are_detached_and_need_no_gradient(clf: Classifier, tr: Trace, base: LanguageModel) -> None:
    for tensor in (class_lens(clf, tr).margins, next_token_lens(clf, tr).probabilities, read_states(base, TEXT).resid):
        assert not tensor.requires_grad
        assert not tensor.is_inference()


def test_hooks_are_gone(base: LanguageModel) -> None:
    before = [len(module._forward_hooks) for module in base.model.modules()]
    read_states(base, TEXT)
    assert [len(module._forward_hooks) for module in base.model.modules()] == before


def test_a_language_model_says_what_it_is(base: LanguageModel) -> None:
    assert repr(base) == f"LanguageModel({base.name!r}, 3 layers, d_model 10)"


# --- failures ---


@pytest.mark.parametrize(
    ("layer", "position", "message"),
    [
        (4, 0, "There is no layer 4; the layers are 0 to 3."),
        (-5, 0, "There is no layer -5; the layers are 0 to 3."),
        (0, 7, "There is no token 7; the tokens are 0 to 6."),
        (0, 1.5, "A token is given by a whole number, not 1.5."),
    ],
)
def test_cells_that_do_not_exist(clf: Classifier, tr: Trace, layer: int, position: int, message: str) -> None:
    for ask in (class_lens(clf, tr).at, next_token_lens(clf, tr, top=1).at, lambda i, j: vector_at(tr, i, j)):
        with pytest.raises(OptionError) as raised:
            ask(layer, position)
        assert str(raised.value) == message


def test_a_vector_of_the_grid(tr: Trace) -> None:
    assert vector_at(tr, -1, -1).equal(tr.resid[3, 6])
    assert vector_at(tr, 2, 5).equal(tr.resid[2, 5])
    assert [check_index("layer", i, 4) for i in (-4, -1, 0, 3)] == [0, 3, 0, 3]


def test_classes_and_counts_that_do_not_exist(clf: Classifier, tr: Trace) -> None:
    n_tokens = len(clf.body.wte.weight)
    with pytest.raises(OptionError, match="There is no class 5; the classes are 0 to 4"):
        class_lens(clf, tr, target=5)
    with pytest.raises(OptionError, match="There is no class 'good'; the classes are LABEL_0"):
        class_lens(clf, tr, target="good")
    for top in (0, n_tokens + 1):
        with pytest.raises(
            OptionError, match=f"top must lie between 1 and the vocabulary's {n_tokens} tokens, not {top}"
        ):
            next_token_lens(clf, tr, top=top)
    with pytest.raises(OptionError, match="has vectors of 10 numbers, not 11"):
        next_tokens(clf, torch.zeros(1, 11), top=1)


def test_probes_need_two_classes(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match=r"Probes tell two classes apart; .* has 5\. Use class_lens"):
        probe_lens(clf, tr, LensProbes(torch.zeros(4, 10), torch.zeros(4)))


def test_probes_that_are_missing_damaged_or_anothers(with_folder: Classifier, tmp_path: Path) -> None:
    file = Path(with_folder.name) / "probes.safetensors"
    with pytest.raises(ModelError, match=r"has no probes \(probes.safetensors in its folder\). Train them with"):
        load_lens_probes(with_folder)
    file.write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match=r"can't be read; it is damaged\. Train them with"):
        load_lens_probes(with_folder)
    save_lens_probes(with_folder, LensProbes(torch.full((4, 10), torch.nan), torch.zeros(4)))
    with pytest.raises(ModelError, match="holds weights that are not numbers"):
        load_lens_probes(with_folder)
    save_lens_probes(with_folder, LensProbes(torch.zeros(5, 10), torch.zeros(5)))  # a layer too many
    with pytest.raises(ModelError, match="was trained for another model than"):
        load_lens_probes(with_folder)
    save_lens_probes(with_folder, LensProbes(torch.zeros(4, 10), torch.zeros(4)))
    retrained = load_classifier(save_tiny(tmp_path / "retrained", 2, seed=5))
    shutil.copy(file, Path(retrained.name) / file.name)
    with pytest.raises(ModelError, match="was trained for another model than"):
        load_lens_probes(retrained)


def test_probes_of_a_model_without_a_folder_have_no_place(clf2: Classifier) -> None:
    elsewhere = dataclasses.replace(clf2, name="someone/on-the-hub")
    with pytest.raises(ModelError, match="someone/on-the-hub is no folder, so its probes have no place"):
        save_lens_probes(elsewhere, LensProbes(torch.zeros(4, 10), torch.zeros(4)))
    with pytest.raises(ModelError, match="someone/on-the-hub has no probes"):
        load_lens_probes(elsewhere)


def test_language_models_that_cannot_be_loaded(tiny_folder: Path, base_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a GPT2ForSequenceClassification\. A language model"):
        load_base(tiny_folder)
    with pytest.raises(ModelError, match="The language model nowhere can't be loaded: check name, files and network"):
        load_base("nowhere")
    damaged = shutil.copytree(base_folder, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="damaged can't be loaded: check name, files and network"):
        load_base(damaged)
    deeper = shutil.copytree(base_folder, tmp_path / "deeper")
    edit_config(deeper, n_layer=4)
    with pytest.raises(ModelError, match=r"deeper does not hold all weights; missing: transformer\.h\.3"):
        load_base(deeper)
    broken = shutil.copytree(base_folder, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["transformer.ln_f.bias"][0] = torch.inf
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="broken holds weights that are not numbers"):
        load_base(broken)


def test_texts_that_cannot_be_read(base: LanguageModel) -> None:
    with pytest.raises(TextError, match="There is no text to read yet"):
        read_states(base, "  ")
