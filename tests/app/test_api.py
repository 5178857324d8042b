"""The API as programs use it: gradio_client, and plain HTTP as curl sends it."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from gpt2cls_core import Classifier, attention_rollout, integrated_gradients, load_classifier, trace
from gpt2cls_core import predict as library_predict

pytestmark = pytest.mark.browser  # needs the running page

TEXT = "Not a good film, but I liked the ending."
HOSTILE = "<script>alert(1)</script> ${alert(1)} \u202e\x00 {{value}} $x^2$"


@pytest.fixture(scope="module")
def client(server) -> Client:
    return Client(server.url, verbose=False)


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return load_classifier("full")


def near(values: object) -> object:
    return pytest.approx(values, abs=2e-4)  # the server's threads may add up in another order


def test_predict_gives_the_librarys_verdict(client, clf):
    answer, expected = client.predict(TEXT, api_name="/predict"), library_predict(clf, TEXT)
    assert (answer["label"], answer["labels"]) == (expected.label, list(expected.labels))
    assert answer["margin"] == near(expected.margin)
    assert answer["probabilities"] == near(expected.probabilities.tolist())
    assert answer["tokens"] == list(trace(clf, TEXT).tokens)
    assert (answer["model"], answer["tokens_cut"]) == ("full", 0)


def test_another_model_is_asked_by_its_name(client):
    expected = library_predict(load_classifier("head"), TEXT)
    answer = client.predict(TEXT, "head", api_name="/predict")
    assert (answer["model"], answer["margin"]) == ("head", near(expected.margin))


def test_explain_gives_the_librarys_scores(client, clf):
    answer = client.predict(TEXT, "", ["attribution", "rollout"], "zero", api_name="/explain")
    expected = integrated_gradients(clf, TEXT, baseline="zero")
    assert answer["attribution"] == pytest.approx(expected.scores.tolist(), abs=2e-3)
    assert answer["rollout"] == near(attention_rollout(trace(clf, TEXT)).weights[-1].tolist())


def test_plain_http_gets_the_same(server, clf):
    call = Request(
        server.url + "gradio_api/call/predict",
        json.dumps({"data": [TEXT, ""]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(call, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{server.url}gradio_api/call/predict/{event}", timeout=60) as answer:
        stream = answer.read().decode()
    (data,) = (
        json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ") and line != "data: null"
    )
    assert data[0]["margin"] == near(library_predict(clf, TEXT).margin)


def test_hostile_text_comes_back_as_the_text_that_it_is(client):
    answer = client.predict(HOSTILE, api_name="/predict")
    assert answer["text"] == HOSTILE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "There is no text to read yet"),
        ((" \n ",), "There is no text to read yet"),
        (("x" * 100_001,), "shorten it to 100,000"),
        ((TEXT, "openai-community/gpt2"), "There is no model 'openai-community/gpt2' here"),
        ((TEXT, "", ["nonsense"]), "methods must be some of verdict, attribution, rollout"),
        ((TEXT, "", []), "methods must be some of"),
        ((TEXT, "", ["attribution"], "nonsense"), "nonsense"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_librarys_message(client, arguments, message):
    with pytest.raises(AppError, match=message):
        client.predict(*arguments, api_name="/explain")
