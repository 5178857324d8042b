"""Features on paper, packed and unpacked, written and read; and every folder that holds no features of this base."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from adapters import save_base
from conftest import TEXT
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from vectors import made_features

from gpt2cls_core import FrozenFeatures, LanguageModel, ModelError, OptionError, load_base, load_features, read_states
from gpt2cls_core.frozen_features import FEATURES, PLACES, Norm, pack, read_place, save_features
from gpt2cls_core.weights import fingerprint

ADVICE = "Write them again with: python -m gpt2cls_core.training features"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_base(save_base(tmp_path_factory.mktemp("tiny") / "base"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features as they are written."""
    (tmp_path / "features").mkdir()
    save_features(made_features(), tmp_path / "features", seed="0")
    return tmp_path / "features"


# --- by hand ---


def test_packing_by_hand() -> None:
    packed = pack(torch.tensor([[127.0, -2.54], [63.4, 0.012]]), torch.tensor([[-50.6, 1.0]]))
    torch.testing.assert_close(packed.scale, torch.tensor([1.0, 0.02]))
    assert packed.train.tolist() == [[127, -127], [63, 1]]  # 63.4 → 63; 0.012 is 0.6 steps
    assert packed.held_out.tolist() == [[-51, 50]]
    assert packed.train.dtype == packed.held_out.dtype == torch.int8


def test_places_by_hand() -> None:
    five, four = torch.arange(5.0)[:, None] ** 2, torch.tensor([[1.0], [3], [5], [11]])
    assert [float(read_place(five, place)) for place in PLACES] == [0, 4, 16, 6]
    assert [float(read_place(four, place)) for place in PLACES] == [1, 3, 11, 5]  # (4 − 1) // 2 = 1
    assert {float(read_place(torch.tensor([[7.0]]), place)) for place in PLACES} == {7}
    stack = torch.stack([five, -five])  # two layers
    assert read_place(stack, "last").tolist() == [[16], [-16]]


def test_the_norm_by_hand() -> None:
    norm = Norm(torch.tensor([2.0, 1.0]), torch.tensor([0.0, 5.0]), 0.0)
    assert norm(torch.tensor([[3.0, 1.0], [-8.0, 8.0]])).tolist() == [[2, 4], [-2, 6]]  # normalised: (1, −1), (−1, 1)


# --- identities ---


def test_unpacked_vectors_are_off_by_half_a_step_at_most() -> None:
    generator = torch.Generator().manual_seed(1)
    train, held_out = (torch.randn(n, 6, generator=generator) * torch.logspace(-2, 3, 6) for n in (30, 9))
    train[:, 2] = held_out[:, 2] = 0  # a coordinate in which nothing is to be told
    packed = pack(train, held_out)
    for given, kept in ((train, packed.train), (held_out, packed.held_out)):
        off = (kept * packed.scale - given).abs() / packed.scale
        assert 0.4 < off.max() <= 0.5 + 1e-4  # float32 in the division
    assert (torch.cat([packed.train, packed.held_out])[:, [0, 5]].abs().amax(0) == 127).all()


def test_what_is_written_is_what_is_read(folder: Path) -> None:
    given, read = made_features(), load_features(path=folder)
    assert (read.layers, read.places, read.data, read.base_fingerprint) == (
        (0, 1, 2, 3),
        PLACES,
        "made/up",
        "0123456789abcdef",
    )
    assert read.labels.equal(given.labels) and read.held_out_labels.equal(given.held_out_labels)
    assert read.norm.weight.equal(given.norm.weight) and read.norm.bias.equal(given.norm.bias)
    assert read.norm.epsilon == given.norm.epsilon
    seen = set()
    for layer in read.layers:
        for place in PLACES:
            train, held_out = read.vectors(layer, place)
            assert train.dtype == held_out.dtype == torch.float32
            assert (train.shape, held_out.shape) == ((40, 10), (14, 10))
            assert train.equal(given.vectors(layer, place)[0]) and held_out.equal(given.vectors(layer, place)[1])
            seen.add(float(train.sum()))
    assert len(seen) == 16  # all of them different


# --- by an independent route ---


def test_the_norm_is_ln_f_and_keeps_its_numbers(base: LanguageModel) -> None:
    norm, resid = Norm.of(base), read_states(base, TEXT).resid
    with torch.no_grad():
        torch.testing.assert_close(norm(resid), base.body.ln_f(resid), atol=1e-6, rtol=1e-6)  # float32
        top = base.body(read_states(base, TEXT).encoding.input_ids[None]).last_hidden_state[0]
    torch.testing.assert_close(norm(resid)[-1], top, atol=1e-5, rtol=1e-5)  # float32, summed in another order
    assert norm.weight.data_ptr() != base.body.ln_f.weight.data_ptr()


def test_the_bundled_features_are_of_the_bundled_base_and_hold_no_text() -> None:
    features = load_features(load_base())
    assert len(features.labels) == 1000 and len(features.held_out_labels) == 500
    files = sorted(FEATURES.iterdir())
    assert len(files) == len(features.layers) + 1
    for file in files:
        assert file.stat().st_size < 10_000_000
        with safe_open(str(file), "pt") as stored:
            metadata = stored.metadata()
        assert metadata.keys() == {
            *("base", "base_fingerprint", "data", "layers", "epsilon", "seed", "command", "date")
        }
        assert sum(map(len, metadata.values())) < 400


# --- failures ---


@pytest.mark.parametrize(
    ("layer", "place", "message"),
    [
        (4, "last", "There is no layer 4; the layers are 0 to 3."),
        (-1, "last", "There is no layer -1; the layers are 0 to 3."),
        (2, "end", "There is no place 'end'; the places are first, middle, last, mean."),
    ],
)
def test_vectors_that_there_are_not(layer: int, place: str, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        made_features().vectors(layer, place)
    assert str(raised.value) == message


def test_a_place_that_there_is_not() -> None:
    with pytest.raises(OptionError, match=r"^There is no place 'end'; the places are first, middle, last, mean\.$"):
        read_place(torch.zeros(3, 2), "end")


def test_no_folder_and_a_missing_layer(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        load_features(path=tmp_path / "nowhere")
    assert str(raised.value) == f"There is no {tmp_path / 'nowhere' / 'rows.safetensors'}. {ADVICE}"
    (folder / "layer-2.safetensors").unlink()
    with pytest.raises(ModelError) as raised:
        load_features(path=folder)
    assert str(raised.value) == f"There is no {folder / 'layer-2.safetensors'}. {ADVICE}"


@pytest.mark.parametrize("name", ["rows", "layer-0", "layer-3"])
@pytest.mark.parametrize("damage", ["empty", "cut short", "text"])
def test_a_damaged_file(folder: Path, name: str, damage: str) -> None:
    file = folder / f"{name}.safetensors"
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "cut short": whole[:-3], "text": b"these are no vectors at all"}[damage])
    with pytest.raises(ModelError) as raised:
        load_features(path=folder)
    assert str(raised.value).startswith(f"{file} can't be read; it is damaged. {ADVICE} (")


def test_another_bases_features_are_refused(base: LanguageModel, tmp_path: Path) -> None:
    own, other = fingerprint(base.body), load_base(save_base(tmp_path / "other", seed=4))
    (tmp_path / "features").mkdir()
    save_features(dataclasses.replace(made_features(), base_fingerprint=own), tmp_path / "features")
    assert load_features(base, tmp_path / "features").base_fingerprint == own
    with pytest.raises(ModelError) as raised:
        load_features(other, tmp_path / "features")
    assert str(raised.value) == (
        f"The features in {tmp_path / 'features'} are of another base ({own}) than {other.name} "
        f"({fingerprint(other.body)}). {ADVICE}"
    )


def test_files_of_two_runs_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    save_features(made_features(), tmp_path / "again", seed="1")
    (tmp_path / "again" / "layer-1.safetensors").rename(folder / "layer-1.safetensors")
    with pytest.raises(ModelError) as raised:
        load_features(path=folder)
    assert str(raised.value) == f"{folder} holds files of different runs. {ADVICE}"


def change(file: Path, **tensors: torch.Tensor | None) -> None:
    """Replace tensors of a file, or take them out, and keep what it says."""
    with safe_open(str(file), "pt") as stored:
        metadata = stored.metadata()
    changed = {**load_file(file), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    save_file({name: tensor for name, tensor in changed.items() if tensor is not None}, file, metadata=metadata)


def no_scale(features: FrozenFeatures) -> dict:
    return {"last__scale": features.packed[1, "last"].scale * torch.nan}


def too_few_scales(features: FrozenFeatures) -> dict:
    return {"last__scale": features.packed[1, "last"].scale[:-1]}


def too_few_rows(features: FrozenFeatures) -> dict:
    return {"mean__held_out": features.packed[1, "mean"].held_out[:-1]}


def no_bytes(features: FrozenFeatures) -> dict:
    return {"first__train": features.packed[1, "first"].train.float()}


def missing(_features: FrozenFeatures) -> dict:
    return {"middle__train": None}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (no_scale, "holds scales that are not numbers, or not one per coordinate"),
        (too_few_scales, "holds scales that are not numbers, or not one per coordinate"),
        (too_few_rows, "holds vectors that do not fit their labels"),
        (no_bytes, "holds vectors that do not fit their labels"),
        (missing, r"holds something else than features \('middle\.train'\)"),
    ],
)
def test_parts_that_do_not_fit(folder: Path, wrong: Callable, message: str) -> None:
    change(folder / "layer-1.safetensors", **wrong(made_features()))
    with pytest.raises(ModelError, match=message) as raised:
        load_features(path=folder)
    assert str(raised.value).startswith(f"{folder} ") and str(raised.value).endswith(ADVICE)


@pytest.mark.parametrize("labels", [[1] * 40, [0] * 25 + [1] * 15, [0, 1] * 19 + [2, 2]])
def test_labels_that_are_not_two_of_one_size(folder: Path, labels: list[int]) -> None:
    change(folder / "rows.safetensors", labels=torch.tensor(labels, dtype=torch.uint8))
    with pytest.raises(ModelError, match="must hold as many rows of class 0 as of class 1; it holds"):
        load_features(path=folder)


def test_another_kind_of_file_by_that_name(folder: Path) -> None:
    save_file({"labels": torch.zeros(3)}, folder / "rows.safetensors")
    with pytest.raises(ModelError, match="holds something else than features"):
        load_features(path=folder)
