"""A tiny GPT-2 classifier with random weights, on which every identity can be checked in milliseconds.

All axes differ (3 layers, 2 heads, d_model 10, 5 classes, 7 tokens), so that a transposed axis can't hide, and the LayerNorms are
randomised, because default ones make a doubled ``ln_f`` nearly invisible.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

from gpt2cls_core import Classifier, Trace, load_classifier, trace

TEXT = "good film, but not for me"  # 7 tokens for the tiny tokenizer
END_OF_TEXT = "<|endoftext|>"


def tiny_tokenizer(context: int = 12) -> PreTrainedTokenizerFast:
    """Byte-level BPE that knows ``<|endoftext|>`` (0), all bytes, and a few whole words."""
    vocab = {END_OF_TEXT: 0}
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[character] = len(vocab)
    merges: list[tuple[str, str]] = []
    for word in ("good", "Ġfilm", "Ġbut", "Ġnot", "Ġfor", "Ġme", "Ġbad", "Ġgood"):
        built = word[0]
        for character in word[1:]:
            merges += [(built, character)] if built + character not in vocab else []
            built += character
            vocab.setdefault(built, len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def tiny_config(n_classes: int = 5, context: int = 12, **changes: object) -> GPT2Config:
    options: dict = {
        "vocab_size": len(tiny_tokenizer()),
        "n_positions": context,
        "n_embd": 10,
        "n_layer": 3,
        "n_head": 2,
        "num_labels": n_classes,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    return GPT2Config(**{**options, **changes})


def randomise(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter drawn anew, large enough that nothing is nearly linear; LayerNorm weights around 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator) * 0.4
            parameter.copy_(1 + drawn if "ln_" in name and name.endswith("weight") else drawn)
    return model


def save_tiny(folder: Path, n_classes: int = 5, *, seed: int = 0, context: int = 12) -> Path:
    """A tiny classifier as `save_pretrained` writes it."""
    model = randomise(GPT2ForSequenceClassification(tiny_config(n_classes, context)), seed)
    if n_classes == 2:
        model.config.id2label = {0: "negative", 1: "positive"}
        model.config.label2id = {"negative": 0, "positive": 1}
    model.save_pretrained(folder)
    tiny_tokenizer(context).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny5"))


@pytest.fixture(scope="session")
def clf(tiny_folder: Path) -> Classifier:
    """Five classes."""
    return load_classifier(tiny_folder)


@pytest.fixture(scope="session")
def clf2(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Two classes, "negative" and "positive"."""
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny2"), 2, seed=1))


@pytest.fixture(scope="session")
def tr(clf: Classifier) -> Trace:
    """The five-class classifier's trace of TEXT."""
    return trace(clf, TEXT)


def edit_config(folder: Path, **changes: object) -> None:
    """Change a saved model's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where several workers share the tests out, a file stays with one; so do all of the live lesson's, which is built once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "live" if "/live/" in file else file

    return ByFile(config, log)
