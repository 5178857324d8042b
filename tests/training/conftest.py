"""Made-up data and a tiny base model, small enough to train on in seconds; all sizes differ."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import randomise, tiny_config, tiny_tokenizer
from transformers import GPT2LMHeadModel

from gpt2cls_core.training.options import FinetuneOptions

CONTEXT = 21
WORDS = ("film", "plot", "cast", "scene", "story", "music", "joke", "song", "actor", "frame", "mood", "idea", "tale")


def made_up(rows: int, *, words: int, seed: int) -> tuple[list[str], list[int]]:
    """Sentences with "good" or "bad" in them, and which of the two as the label."""
    generator = random.Random(seed)
    labels = [i % 2 for i in range(rows)]
    texts = [" ".join([*generator.choices(WORDS, k=words), ["bad", "good"][label]]) + "." for label in labels]
    return texts, labels


def write_split(folder: Path, split: str, **columns: list) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(folder / f"{split}.parquet")
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are faster on one thread, and the same to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Laid out as SST-2: full sentences, and their last three words as rows of their own."""
    folder = tmp_path_factory.mktemp("data") / "sst2"
    texts, labels = made_up(60, words=10, seed=0)
    pieces = [" ".join(text.split()[-3:]) for text in texts]
    write_split(folder, "train", sentence=texts + pieces, label=labels * 2)
    texts, labels = made_up(7, words=4, seed=1)
    write_split(folder, "validation", sentence=texts, label=labels)
    return str(folder)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Laid out as IMDb: whole reviews, some longer than the tiny model's context."""
    folder = tmp_path_factory.mktemp("data") / "imdb"
    texts, labels = made_up(80, words=13, seed=2)
    write_split(folder, "train", text=[t.replace(" ", "<br /><br />", 1) for t in texts], label=labels)
    texts, labels = made_up(11, words=13, seed=3)
    write_split(folder, "test", text=texts, label=labels)
    return str(folder)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A "pre-trained" language model: 3 layers, 2 heads, d_model 10, random."""
    folder = tmp_path_factory.mktemp("base")
    model = GPT2LMHeadModel(tiny_config(2, CONTEXT, initializer_range=0.1))
    randomise(model).save_pretrained(folder)
    tiny_tokenizer(CONTEXT).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def finetune_options(base: str, sentences: str, reviews: str, tmp_path: Path) -> Callable[..., FinetuneOptions]:
    """Options of a run of a second or two; keywords change them."""

    def options(**changes: object) -> FinetuneOptions:
        tiny = {
            "base": base,
            "data": (f"{sentences}:2", reviews),
            "output": str(tmp_path / "run"),
            "batch_size": 9,
            "measurements": 3,
            "learning_rate": 1e-2,
            "bf16": False,
        }
        return FinetuneOptions(**{**tiny, **changes})

    return options
