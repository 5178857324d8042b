"""The models behind the page: loaded once, kept within bounds, and described without markup."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from conftest import TEXT, edit_config, save_tiny

from app import header, models
from app.chapters.frame import sides
from app.main import main
from app.prose import runs
from gpt2cls_core import Gpt2clsError, ModelError, bundled_names, load_classifier, trace


@pytest.fixture
def tiny2(tmp_path: Path) -> Path:
    """A folder of our own with a two-class classifier."""
    return save_tiny(tmp_path / "tiny2", 2, seed=1)


# --- what is kept ---


def test_every_cache_is_bounded():
    caches = {name: cached for name, cached in vars(models).items() if hasattr(cached, "cache_info")}
    assert "read" in caches
    assert [name for name, cached in caches.items() if not cached.cache_info().maxsize] == []


def test_more_texts_than_the_cache_holds_push_the_oldest_out(tiny_folder):
    most = models.read.cache_info().maxsize
    for i in range(most + 3):
        models.read(str(tiny_folder), f"good {i}")
    assert models.read.cache_info().currsize == most


def test_a_text_is_read_once(tiny_folder):
    assert models.read(str(tiny_folder), TEXT) is models.read(str(tiny_folder), TEXT)


def test_a_text_is_read_as_the_library_reads_it(tiny_folder, clf):
    assert models.read(str(tiny_folder), TEXT).logits.tolist() == trace(clf, TEXT).logits.tolist()


def test_a_text_that_cannot_be_read_is_not_kept(tiny_folder):
    before = models.read.cache_info().currsize
    with pytest.raises(Gpt2clsError, match="no text to read"):
        models.read(str(tiny_folder), " ")
    assert models.read.cache_info().currsize == before


def test_two_who_ask_at_once_get_one_model_that_is_loaded_once(monkeypatch):
    loaded = []

    def slowly(name: str) -> object:
        time.sleep(0.2)
        loaded.append(name)
        return object()

    monkeypatch.setattr(models, "load_classifier", slowly)
    got = []
    threads = [threading.Thread(target=lambda: got.append(models.classifier("asked for at once"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["asked for at once"]
    assert got[0] is got[1] is got[2]


def test_what_a_model_has_not_is_none_instead_of_an_error(clf, tmp_path):
    lone = load_classifier(save_tiny(tmp_path / "lone", 2))
    assert models.base(lone) is None
    assert models.base_states(lone, TEXT) is None
    assert models.lens_probes(lone) is None
    assert models.cloud(clf) is None  # of five classes


# --- the shape ---


def test_the_shape_is_known_without_the_weights(tiny2, monkeypatch):
    for file in tiny2.glob("*.safetensors"):
        file.unlink()
    monkeypatch.setattr(models, "load_classifier", lambda name: pytest.fail("the weights were loaded"))
    assert models.shape(str(tiny2)) == models.Shape(("negative", "positive"), 3, 2)


def test_the_shape_is_that_of_the_loaded_model(tiny_folder, clf):
    assert models.shape(str(tiny_folder)) == models.Shape(clf.labels, clf.n_layer, clf.n_head)


@pytest.mark.parametrize("name", ["head", "prompt", "lora", "last-block"])
def test_the_shape_of_what_is_kept_as_changes_is_its_bases(name, monkeypatch):
    monkeypatch.setattr(models, "load_classifier", lambda name: pytest.fail("the weights were loaded"))
    assert models.shape(name) == models.shape("full")


@pytest.mark.parametrize("config", ["[]", "{}", "null", "not json"])
def test_a_damaged_config_is_the_loaders_clear_error(tiny2, config):
    (tiny2 / "config.json").write_text(config)
    with pytest.raises(ModelError):
        models.shape(str(tiny2))


# --- what is offered ---


def test_all_bundled_classifiers_are_offered_the_default_first():
    assert models.offered("lora")[0] == "lora"
    assert sorted(models.offered("lora")) == sorted(models.offered("full")) == sorted(bundled_names())


def test_a_model_of_another_shape_is_offered_alone(tiny2):
    assert models.offered(str(tiny2)) == [str(tiny2)]


def test_every_bundled_classifier_has_words_for_what_was_trained():
    assert set(bundled_names()) <= set(models.TRAINED)
    assert models.title("lora") == "LoRA"
    assert models.title("folder/of/mine") == "mine"


def test_the_switch_goes_from_the_least_trained_to_the_most(tiny2):
    names = [name for _, name in header.switch_choices(["full", "lora", str(tiny2), "head"])]
    assert names == [str(tiny2), "head", "lora", "full"]


def test_loading_all_leaves_out_what_cannot_be_loaded_until_it_is_asked_for(monkeypatch):
    def load(name: str) -> object:
        if name == "broken":
            raise ModelError("this one is broken")
        loaded.append(name)
        return object()

    loaded = []
    monkeypatch.setattr(models, "load_classifier", load)
    models.load_all(["first of all", "broken", "last of all"])
    assert loaded == ["first of all", "last of all"]
    with pytest.raises(ModelError, match="this one is broken"):
        models.classifier("broken")


def test_a_soft_prompt_is_not_counted_as_the_readers_tokens():
    read = models.read("prompt", "A fine film.")
    n_virtual = read.encoding.n_virtual
    assert n_virtual > 0
    assert (
        header.verdict_value(read)["count"] == f"{len(read.tokens) - n_virtual} tokens after {n_virtual} virtual ones"
    )
    assert (
        header.verdict_value(models.read("head", "A fine film."))["count"] == f"{len(read.tokens) - n_virtual} tokens"
    )


# --- the facts ---


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes our own results.json."""
    monkeypatch.setattr(models, "RESULTS", tmp_path / "results.json")
    return lambda content: models.RESULTS.write_text(content)


def test_facts_give_name_size_and_measured_accuracy(tiny2, measured):
    sst2 = {"accuracy": {"sst2/validation": {"accuracy": 0.8761}}}
    words = {"accuracy": {"sst2/validation": {"accuracy": 0.8151}}}
    measured(json.dumps({"classifiers": {str(tiny2): sst2}, "baselines": {"bag_of_words": words}}))
    clf = models.classifier(str(tiny2))
    size = sum(p.numel() for p in clf.model.parameters()) / 1e6
    expected = f"tiny2 · {size:.1f}M parameters · SST-2 accuracy 87.6% (bag of words 81.5%)"
    assert models.facts(str(tiny2)) == expected


def test_facts_say_how_much_was_trained():
    assert ", all trained · " in models.facts("full")
    assert ", 512 of them trained · " in models.facts("head")  # two rows of 256


@pytest.mark.parametrize("content", ["{}", "not json", '{"classifiers": {}}'])
def test_facts_own_up_to_what_was_not_measured(tiny2, measured, content):
    measured(content)
    assert models.facts(str(tiny2)).endswith("accuracy not measured here")


@pytest.mark.parametrize("content", [None, "", "not json", '{"lens": '])
def test_results_that_are_missing_or_broken_are_none(measured, content):
    if content is not None:
        measured(content)
    assert models.results() == {}


def test_results_are_read_anew_so_that_a_running_page_shows_what_was_just_measured(measured):
    measured('{"lens": 1}')
    assert models.results() == {"lens": 1}
    measured('{"lens": 2}')
    assert models.results() == {"lens": 2}


def test_facts_of_a_foreign_model_can_be_neither_markup_nor_template(tiny2):
    hostile = '<img src=x onerror="alert(1)"> ${alert(1)} {{value}}'
    (tiny2 / "card.json").write_text(json.dumps({"description": hostile}))
    shown = header.masthead_html(models.facts(str(tiny2)))
    assert hostile.split()[0] in models.facts(str(tiny2))
    assert "<img" not in shown
    assert "${" not in shown
    assert "{{" not in shown


def test_labels_of_a_foreign_model_can_be_no_markup_in_the_lesson(tiny2):
    edit_config(tiny2, id2label={"0": "<b>no</b>", "1": "yes"}, label2id={"<b>no</b>": 0, "yes": 1})
    labels = models.shape(str(tiny2)).labels
    assert labels[0] == "<b>no</b>"
    assert runs("so {negative}.", sides(labels)) == [("so ", ""), ("<b>no</b>", "negative"), (".", "")]  # text nodes


# --- the command line ---


def test_starting_with_a_model_that_does_not_exist_says_so_in_one_line():
    with pytest.raises(SystemExit, match="There is no model 'no-such-model'"):
        main(["--no-browser", "--model", "no-such-model"])


# --- when a model is missing ---


def test_a_first_model_that_cannot_be_loaded_is_told_and_stood_in_for():
    names, notice = models.fall_back(["no-such-model", "head"])
    assert names == ["full", "no-such-model", "head"]
    assert notice.startswith("A bundled model instead: There is no model 'no-such-model'")


def test_a_first_model_that_loads_stays_first(tiny2):
    assert models.fall_back([str(tiny2), "no-such-model"]) == ([str(tiny2), "no-such-model"], "")
    assert models.fall_back(["head", "full"]) == (["head", "full"], "")


def test_a_notice_is_text_in_the_header():
    shown = header.masthead_html("facts", "<b>${x}</b> is not there")
    assert "<b>" not in shown
    assert "${" not in shown
    assert "is not there" in shown
