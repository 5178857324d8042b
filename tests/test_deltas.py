"""Classifiers kept as what changed of a base: loaded right, in shared memory, and never on another base."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from adapters import LABELS, changes, drawn, save_base, save_changes
from conftest import TEXT, edit_config
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

import gpt2cls_core
from gpt2cls_core import Classifier, ModelError, bundled_names, load_base, load_classifier, predict, trace, weights

REGIMES = ("head", "last-block", "lora", "prompt")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base and one classifier per regime beside it."""
    base = save_base(tmp_path_factory.mktemp("shelf") / "base")
    for regime in REGIMES:
        save_changes(base, regime)
    return base.parent


@pytest.fixture
def copied(shelf: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(shelf, tmp_path / "shelf"))


def pointers(clf: Classifier) -> dict[str, int]:
    """Where each weight lies."""
    return {name: p.data_ptr() for name, p in clf.model.named_parameters()}


# --- by hand ---


def test_a_lora_product_worked_out_by_hand(copied: Path) -> None:
    a, b = torch.zeros(2, 10), torch.zeros(30, 2)
    a[1, 4] = 2.0  # reads coordinate 4
    b[17, 1] = 5.0  # writes coordinate 17
    prefix = "base_model.model.transformer.h.0.attn.c_attn.lora_"
    tensors = {f"{prefix}A.weight": a, f"{prefix}B.weight": b, "base_model.model.score.weight": drawn(2, 10)}
    save_file(tensors, copied / "lora" / "adapter_model.safetensors")
    clf = load_classifier(copied / "lora")
    change = clf.body.h[0].attn.c_attn.weight - clf.base.transformer.h[0].attn.c_attn.weight
    expected = torch.zeros(10, 30)
    expected[4, 17] = 6 / 2 * 2.0 * 5.0  # alpha / r · A · B, in the orientation of GPT-2's weights [in out]
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-5)  # a difference of float32 sums


@pytest.mark.parametrize("regime", ["head", "last-block", "prompt"])
def test_what_changed_is_in_place_and_the_rest_is_the_bases(shelf: Path, regime: str) -> None:
    clf = load_classifier(shelf / regime)
    base, now = load_file(shelf / "base" / "model.safetensors"), dict(clf.model.named_parameters())
    new = {name.removeprefix("base_model."): value for name, value in changes(regime).items()}
    if regime == "prompt":
        assert now["transformer.wte.prompt"].equal(new.pop("prompt_embeddings"))
        now["transformer.wte.weight"] = now["transformer.wte.base.weight"]
    for name, value in {**base, **new}.items():
        assert now[name].equal(value), name


def test_labels_card_and_mode(shelf: Path) -> None:
    for regime in REGIMES:
        clf = load_classifier(shelf / regime)
        assert clf.labels == tuple(LABELS)
        assert clf.card["regime"] == regime
        assert not any(module.training for module in clf.model.modules())
        assert {(p.dtype, p.requires_grad) for p in clf.model.parameters()} == {(torch.float32, False)}
        assert clf.model.config._attn_implementation == "eager"


# --- identities: memory ---


def test_bodies_are_shared_but_for_what_changed(shelf: Path) -> None:
    loaded = {regime: load_classifier(shelf / regime) for regime in REGIMES}
    language = load_base(shelf / "base")
    places = {f"transformer.{name}": p.data_ptr() for name, p in language.body.named_parameters()}
    block = "transformer.h.1"
    changed = {
        "head": set(),
        "last-block": {"transformer.h.2.attn.c_attn.weight", "transformer.ln_f.bias"},
        "lora": {f"{block}.attn.c_attn.weight", f"{block}.mlp.c_proj.weight"},
        "prompt": set(),
    }
    for regime, clf in loaded.items():
        found = {name.replace("wte.base", "wte"): place for name, place in pointers(clf).items()}
        own = {name for name in places if found[name] != places[name]}
        assert own == changed[regime], regime


def test_hooks_in_one_are_not_felt_in_another(shelf: Path) -> None:
    head, block = (load_classifier(shelf / regime) for regime in ("head", "last-block"))
    felt: list[object] = []
    handle = head.body.h[0].register_forward_hook(lambda *_: felt.append(1))
    predict(block, TEXT)
    assert felt == []
    predict(head, TEXT)
    assert felt == [1]
    handle.remove()


def test_a_base_is_loaded_once_and_gone_with_the_last_who_uses_it(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = GPT2LMHeadModel.from_pretrained
    monkeypatch.setattr(GPT2LMHeadModel, "from_pretrained", lambda *a, **k: read.append(a[0]) or original(*a, **k))
    gc.collect()
    before = len(weights._MODELS)
    kept = [load_classifier(copied / regime) for regime in REGIMES] + [load_base(copied / "base")]
    assert read == [str(copied / "base")]
    assert len(weights._MODELS) == before + 1
    del kept
    gc.collect()
    assert len(weights._MODELS) == before
    load_classifier(copied / "head")
    assert len(read) == 2


def test_a_base_that_was_written_again_is_read_again(copied: Path) -> None:
    before = load_base(copied / "base")
    shutil.rmtree(copied / "base")
    save_base(copied / "base", seed=4)
    after = load_base(copied / "base")
    assert not after.body.wpe.weight.equal(before.body.wpe.weight)


def test_the_fingerprint_outlives_rounding_to_16_bits_and_nothing_else(shelf: Path) -> None:
    body = load_base(shelf / "base").body
    rounded, other = (weights.sharing_copy(body) for _ in range(2))
    rounded.load_state_dict({k: v.half().float() for k, v in body.state_dict().items()}, assign=True)
    other.h[1].ln_1.bias = torch.nn.Parameter(other.h[1].ln_1.bias + 0.01)
    assert weights.fingerprint(rounded) == weights.fingerprint(body) != weights.fingerprint(other)
    assert len(weights.fingerprint(body)) == 16


# --- by an independent route ---


def test_a_head_reads_the_bases_last_vector(shelf: Path) -> None:
    clf, base = load_classifier(shelf / "head"), GPT2LMHeadModel.from_pretrained(shelf / "base").eval()
    with torch.no_grad():
        last = base.transformer(clf.encode(TEXT).input_ids[None]).last_hidden_state[0, -1]
    # float32 sums in another order (sdpa)
    torch.testing.assert_close(trace(clf, TEXT).logits, drawn(2, 10) @ last, rtol=0, atol=1e-4)


@pytest.mark.parametrize("regime", ["lora", "prompt"])
def test_peft_itself_reads_the_same_files_to_the_same_logits(shelf: Path, regime: str, tmp_path: Path) -> None:
    adapter = Path(shutil.copytree(shelf / regime, tmp_path / regime))
    more = {"lora": {"target_modules": ["c_attn", "mlp.c_proj"]}, "prompt": {"token_dim": 10}}[regime]
    config = {**json.loads((adapter / "adapter_config.json").read_text()), **more, "task_type": "SEQ_CLS"}
    if regime == "lora":  # peft wants its targets to be the modules of the file
        config["target_modules"] = r".*\.h\.1\.(attn\.c_attn|mlp\.c_proj)"
    else:
        config |= {"num_layers": 3, "num_attention_heads": 2, "num_transformer_submodules": 1}
    config["modules_to_save"] = ["score"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.warns() as _:  # transformers deprecates a name that peft asks for, and says that the head is new
        base = GPT2ForSequenceClassification.from_pretrained(shelf / "base", num_labels=2)
        theirs = PeftModel.from_pretrained(base, str(adapter)).eval()
    clf = load_classifier(shelf / regime)
    ids = clf.tokenizer(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    # float32 sums in another order: the product is added beside the matrix there, into it here
    torch.testing.assert_close(trace(clf, TEXT).logits, expected, rtol=1e-4, atol=1e-4)


# --- where it is found ---


def test_bundled_names_are_whole_models_and_changes_alike(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2cls_core.classifier, "BUNDLED", copied)
    assert bundled_names() == sorted(REGIMES)
    assert load_classifier("head").name == "head"
    elsewhere = copied.parent / "mine"
    shutil.copytree(copied / "prompt", elsewhere)  # no base beside it: the bundled one serves
    assert load_classifier(elsewhere).n_virtual == 3


def test_an_adapter_from_elsewhere_needs_no_card(copied: Path) -> None:
    (copied / "lora" / "card.json").unlink()
    clf = load_classifier(copied / "lora")
    assert clf.labels == ("LABEL_0", "LABEL_1")
    assert clf.card == {}


# --- failures ---


def in_card(**values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "card.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return edit


def in_adapter(**values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return edit


def with_tensors(**values: torch.Tensor | None) -> Callable[[Path], None]:
    """Other tensors in the folder's file: "__" stands for ".", None takes one out."""

    def edit(folder: Path) -> None:
        file = next(folder.glob("*.safetensors"))
        tensors = {name: value.clone() for name, value in load_file(file).items()}
        for name, value in values.items():
            tensors.pop(name.replace("__", "."), None)
            tensors |= {name.replace("__", "."): value} if value is not None else {}
        save_file(tensors, file)

    return edit


def cut_short(folder: Path) -> None:
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-9])


def another_base(folder: Path) -> None:
    shutil.rmtree(folder.parent / "base")
    save_base(folder.parent / "base", seed=8)


def no_language_model(folder: Path) -> None:
    edit_config(folder.parent / "base", architectures=["GPT2Model"])


LORA_A = "base_model__model__transformer__h__1__attn__c_attn__lora_A__weight"
FOREIGN = {
    "base_model__model__transformer__h__7__attn__c_attn__lora_" + side + "__weight": drawn(2, 2) for side in "AB"
}
BROKEN = {
    "unknown regime": ("head", in_card(regime="best"), "was trained by 'best'; what can be read is head, last-block,"),
    "adapter of another kind": (
        "lora",
        in_adapter(peft_type="IA3"),
        "was trained by 'lora' with an adapter of type IA3;",
    ),
    "no base named": ("head", in_card(base=""), "does not say which base it stands on"),
    "another base": ("head", another_base, "was trained on another base than 'base': it needs "),
    "another base for LoRA": ("lora", another_base, "Train it again on this base, or put its own beside it."),
    "no base": (
        "prompt",
        in_card(base="gone"),
        "stands on the base 'gone', which can't be used: put it beside the folder.",
    ),
    "base is no language model": ("head", no_language_model, "A language model (GPT2LMHeadModel) is needed here."),
    "no head": ("head", with_tensors(score__weight=None), "has no trained head"),
    "one output": ("head", with_tensors(score__weight=drawn(1, 10)), "names 2 labels and has 1 outputs"),
    "wrong labels": ("head", in_card(labels=["a", "b", "c"]), "names 3 labels and has 2 outputs"),
    "NaN": ("head", with_tensors(score__weight=torch.full((2, 10), torch.nan)), "are not numbers (NaN or infinite)"),
    "cut short": ("last-block", cut_short, "can't be read; it is damaged. Train or download it again."),
    "another width": ("head", with_tensors(score__weight=drawn(2, 9)), "does not fit its base 'base': score.weight."),
    "a weight that the base has not": (
        "last-block",
        with_tensors(transformer__h__9__x=drawn(2)),
        "does not fit its base",
    ),
    "a matrix that the base has not": (
        "lora",
        with_tensors(**FOREIGN),
        "does not fit its base 'base': transformer.h.7.",
    ),
    "half a product": ("lora", with_tensors(**{LORA_A: None}), "c_attn.lora_B.weight"),
    "DoRA": ("lora", in_adapter(use_dora=True), "uses LoRA with use_dora, which is not read here. Merge it with"),
    "LoRA with biases": ("lora", in_adapter(bias="all"), "uses LoRA with bias=all, which is not read here."),
    "rank 0": ("lora", in_adapter(r=0), "holds a LoRA adapter that is not whole"),
    "no prompt": ("prompt", with_tensors(prompt_embeddings=None), "holds no soft prompt (prompt_embeddings)."),
    "prompt too long": (
        "prompt",
        with_tensors(prompt_embeddings=drawn(12, 10)),
        "does not fit its base 'base': the soft",
    ),
    "prompt too wide": (
        "prompt",
        with_tensors(prompt_embeddings=drawn(3, 11)),
        "does not fit its base 'base': the soft",
    ),
    "broken card": ("head", lambda f: (f / "card.json").write_text("{"), "card.json is not valid JSON; write it again"),
    "broken adapter": (
        "lora",
        lambda f: (f / "adapter_config.json").write_text("[]"),
        "must hold a JSON object, not a",
    ),
    "no adapter weights": (
        "lora",
        lambda f: (f / "adapter_model.safetensors").unlink(),
        "no adapter_model.safetensors",
    ),
}


@pytest.mark.parametrize(("regime", "damage", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_whole_or_does_not_fit_is_refused(
    copied: Path, regime: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(copied / regime)
    with pytest.raises(ModelError) as caught:
        load_classifier(copied / regime)
    assert str(copied / regime) in str(caught.value)
    assert message in str(caught.value)
