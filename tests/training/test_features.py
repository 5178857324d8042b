from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from adapters import save_base
from safetensors import safe_open

from gpt2cls_core import LanguageModel, load_base, load_features, train_head
from gpt2cls_core.errors import DataError, ModelError, OptionError
from gpt2cls_core.frozen_features import PLACES
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training import features as module
from gpt2cls_core.training.data import load_and_hold_out, vary
from gpt2cls_core.training.features import features, packing_cost, place_vectors
from gpt2cls_core.training.options import FeaturesOptions

from .conftest import made_up, write_split

Options = Callable[..., FeaturesOptions]


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Laid out as SST-2, with ten sentences held out."""
    texts, labels = made_up(100, words=10, seed=6)
    pieces = [" ".join(text.split()[-3:]) for text in texts]
    return str(
        write_split(tmp_path_factory.mktemp("data") / "sst2", "train", sentence=texts + pieces, label=labels * 2)
    )


@pytest.fixture
def options(base: str, phrases: str, tmp_path: Path) -> Options:
    def made(**changes: object) -> FeaturesOptions:
        tiny = {"base": base, "data": phrases, "output": str(tmp_path / "features"), "examples": 20, "held_out": 4}
        return FeaturesOptions(**{**tiny, **changes})

    return made


def directly(model: LanguageModel, text: str) -> torch.Tensor:
    """Vectors after ``ln_f`` in every layer, by Hugging Face's own hidden states [layer+1 pos d_model]."""
    with torch.no_grad():
        hidden = model.body(input_ids=model.encode(text).input_ids[None], output_hidden_states=True).hidden_states
        return torch.cat([model.body.ln_f(torch.cat(hidden[:-1])), hidden[-1]])  # the last one is after it already


def test_vectors_are_hugging_faces_at_their_places(base: str) -> None:
    model, texts = load_base(base), ["good film, but not for me.", "bad", "a film!"]
    found = place_vectors(model, texts)
    assert found.keys() == {(layer, place) for layer in range(4) for place in PLACES}
    for i, text in enumerate(texts):
        expected = directly(model, text)
        n = expected.shape[1]
        for place, vectors in {
            "first": expected[:, 0],
            "middle": expected[:, (n - 1) // 2],
            "last": expected[:, -1],
            "mean": expected.sum(1) / n,
        }.items():
            for layer in range(4):  # float32, summed in another order
                torch.testing.assert_close(found[layer, place][i], vectors[layer], atol=1e-5, rtol=1e-5)


def test_written_are_the_texts_of_the_train_split_and_their_labels(options: Options) -> None:
    target = features(options(seed=2))
    given, model = options(seed=2), load_base(options().base)
    written = load_features(model, target)
    assert (written.layers, written.data) == ((0, 1, 2, 3), "sst2/train")
    train, held_out = load_and_hold_out(given.data)
    train, held_out = train.draw(20, seed=2), held_out.draw(4, seed=2)
    assert written.labels.tolist() == train.labels and written.held_out_labels.tolist() == held_out.labels
    generator = random.Random(2)
    texts = [vary(text, generator) for text in train.texts]
    assert texts != train.texts
    for text, found in zip(texts + held_out.texts, torch.cat(written.vectors(3, "last")), strict=True):
        step = written.packed[3, "last"].scale
        # half a step of int8, and float32 summed in another order
        assert ((found - directly(model, text)[3, -1]).abs() <= step / 2 + 1e-5).all()
    assert train_head(written, examples=20, layer=3).n_held_out == 4


def test_files_say_how_they_came_to_be_and_no_text(options: Options) -> None:
    target = features(options(seed=5))
    assert sorted(file.name for file in target.iterdir()) == [
        *(f"layer-{layer}.safetensors" for layer in range(4)),
        "rows.safetensors",
    ]
    for file in target.iterdir():
        assert file.stat().st_mode & 0o777 == 0o644
        with safe_open(str(file), "pt") as stored:
            said, names = stored.metadata(), list(stored.keys())
        assert said["seed"] == "5" and said["data"] == "sst2/train" and len(said["date"]) == 10
        assert said["command"].startswith("python -m gpt2cls_core.training features --base ")
        assert said["command"].endswith(" --examples 20 --held-out 4 --seed 5")
        assert not any("/tmp" in value for value in said.values())
        assert {name.split(".")[0] for name in names} <= {*PLACES, "labels", "held_out_labels", "ln_f"}


def test_the_same_seed_gives_the_same_vectors(options: Options, tmp_path: Path) -> None:
    folders = [
        features(options(output=str(tmp_path / name), seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    rows = [load_features(path=folder).packed[2, "mean"].train for folder in folders]
    assert rows[0].equal(rows[1])
    assert not rows[0].equal(rows[2])


def test_what_packing_costs_by_hand(options: Options) -> None:
    written = load_features(path=features(options()))
    learned, judged = written.vectors(3, "last")
    # Vectors that are the packed ones cost nothing; ones that say the opposite get every verdict wrong that those get right.
    exact, packed, differ = packing_cost(written, learned, judged)
    assert (exact, differ) == (packed, 0)
    opposite = packing_cost(written, learned, -judged)
    assert opposite == (pytest.approx(1 - packed), packed, 4)


def test_the_command_writes_replaces_and_tells_sizes(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    given = options()
    words = [
        "--base",
        given.base,
        "--data",
        given.data,
        "--output",
        given.output,
        "--examples",
        "20",
        "--held-out",
        "4",
    ]
    for seed in ("0", "1"):
        assert command.main(["features", *words, "--seed", seed]) == 0
    *_, cost, size, last = capsys.readouterr().out.splitlines()
    assert last == f"Written: {given.output}"
    files = list(Path(given.output).iterdir())
    assert size.startswith(f"{sum(file.stat().st_size for file in files):,} bytes in 5 files, the largest ")
    assert "20 examples: " in cost and "% of 4 held-out texts right from float32, " in cost and cost.endswith("differ.")
    with safe_open(str(files[0]), "pt") as stored:
        assert stored.metadata()["seed"] == "1"
    assert [file.name for file in Path(given.output).parent.iterdir()] == ["features"]  # nothing half-written beside it


def test_a_run_that_is_killed_leaves_what_was_there(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    target = features(options())
    before = {file.name: file.read_bytes() for file in target.iterdir()}

    def killed(*_: object, **__: object) -> None:
        (target.parent / "seen").write_text(str(sorted(path.suffix for path in target.parent.iterdir())))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_features", killed)
    with pytest.raises(KeyboardInterrupt):
        features(options(seed=3))
    assert "'.partial'" in (target.parent / "seen").read_text()
    assert {path.name for path in target.parent.iterdir()} == {"features", "seen"}
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before


def test_features_of_one_base_are_not_anothers(options: Options, tmp_path: Path) -> None:
    target = features(options())
    other = load_base(save_base(tmp_path / "other", seed=8, context=21))
    with pytest.raises(ModelError, match=r"are of another base \([0-9a-f]{16}\) than .*other \([0-9a-f]{16}\)\. Write"):
        load_features(other, target)


def test_what_cannot_be_written_is_one_line_and_writes_nothing(
    options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"a film number {i}, with a plot and a cast and more." for i in range(40)]
    one_class = write_split(tmp_path / "one", "train", sentence=texts, label=[1] * 40)
    columns = write_split(tmp_path / "columns", "train", review=texts, label=[0, 1] * 20)
    few = write_split(tmp_path / "few", "train", text=texts, label=[0, 1] * 20)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    given = options()
    cases = [
        ({"data": str(one_class)}, "must hold the labels 0 and 1, both of them; it holds [1]."),
        ({"data": str(columns)}, "needs a column 'text' or 'sentence'; it has ['review', 'label']."),
        ({"data": str(few), "examples": 60}, "60 texts with as many of each class are more than there are"),
        ({"data": str(tmp_path / "nowhere")}, "nowhere"),
        ({"base": str(tmp_path / "nobody")}, "nobody can't be loaded"),
        ({"examples": 7}, "--examples must be 8 or more and --held-out 2 or more, not 7 and 4."),
        ({"held_out": 1}, "--examples must be 8 or more and --held-out 2 or more, not 20 and 1."),
        ({"output": str(taken)}, f"--output {taken} would be replaced, and it holds no features alone;"),
        ({"output": str(taken / "thesis.txt")}, "thesis.txt would be replaced, and it holds no features alone;"),
    ]
    for changes, message in cases:
        words = [(f"--{name.replace('_', '-')}", str(value)) for name, value in vars(options(**changes)).items()]
        assert command.main(["features", *(word for pair in words for word in pair)]) == 2
        *_, last = capsys.readouterr().err.splitlines()  # above it, transformers' progress in loading
        assert last.startswith("error: ") and message in last
    assert not Path(given.output).exists()
    assert (taken / "thesis.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"columns", "few", "one", "taken"}


def test_errors_have_their_kinds(options: Options, tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        features(options(examples=1))
    with pytest.raises(DataError):
        features(options(data=str(tmp_path)))
    with pytest.raises(ModelError):
        features(options(base=str(tmp_path)))
