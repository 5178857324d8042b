from __future__ import annotations

import math

import pytest
import torch
from conftest import randomise, tiny_config, tiny_tokenizer
from torch.nn.functional import cross_entropy
from transformers import GPT2ForSequenceClassification

from gpt2cls_core.training import prefixes
from gpt2cls_core.training.pooling import LastTokenClassifier, collate
from gpt2cls_core.training.prefixes import FEWEST_TOKENS, prefix_loss, sentence_ends

IDS = [[5, 9, 7, 13, 8, 13, 6], [8, 13], [3, 13, 4, 9], [6, 2, 11]]
STOP = 13


@pytest.fixture
def from_two_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "FEWEST_TOKENS", 2)


def test_sentence_ends_are_stops_with_or_without_a_closing_sign() -> None:
    tokenizer = tiny_tokenizer()
    found = {tokenizer.decode([i]) for i in sentence_ends(tokenizer).nonzero().flatten().tolist()}
    assert found == {".", "!", "?"}
    assert all(prefixes._END.fullmatch(end) for end in ("...", '."', "?!", ".)"))
    assert not any(prefixes._END.fullmatch(text) for text in ("", "a.", ",", '"', "<|endoftext|>"))


def test_a_loss_by_hand(from_two_tokens: None) -> None:
    logits = torch.zeros(1, 4, 2)
    logits[0, 1] = torch.tensor([0.0, math.log(3)])  # class 1 has probability 3/4 at the second of four tokens
    ends = torch.tensor([[True, True, True, True]])  # the first is too early, the last is not a beginning
    expected = (math.log(4 / 3) * 2 / 4 + math.log(2) * 3 / 4) / (2 / 4 + 3 / 4)
    assert float(prefix_loss(logits, ends, torch.tensor([3]), torch.tensor([1]))) == pytest.approx(expected, abs=1e-6)


def test_a_text_without_earlier_ends_adds_nothing() -> None:
    ends = torch.ones(2, FEWEST_TOKENS, dtype=torch.bool)
    last = torch.tensor([FEWEST_TOKENS - 1, 3])
    assert float(prefix_loss(torch.randn(2, FEWEST_TOKENS, 5), ends, last, torch.tensor([1, 4]))) == 0


def test_a_prefix_is_taught_as_the_text_that_it_is(from_two_tokens: None) -> None:
    """The one pass over the whole text gives what each beginning gives as a text of its own."""
    model = randomise(GPT2ForSequenceClassification(tiny_config(5, 21))).eval()
    ends = torch.arange(model.config.vocab_size) == STOP
    labels = [n % 5 for n in range(len(IDS))]
    batch = collate([{"input_ids": ids, "labels": n} for ids, n in zip(IDS, labels, strict=True)], pad=STOP)

    def alone(ids: list[int], label: int) -> torch.Tensor:
        hidden = model.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
        return cross_entropy(model.score(hidden), torch.tensor(label))

    with torch.no_grad():
        plain = LastTokenClassifier(model)(**batch)["loss"]
        taught = LastTokenClassifier(model, ends=ends, prefix_weight=0.5)(**batch)["loss"]
        first = (4 * alone(IDS[0][:4], 0) + 6 * alone(IDS[0][:6], 0)) / 10
        expected = plain + 0.5 * (first + alone(IDS[2][:2], 2)) / 4
    torch.testing.assert_close(taught, expected, rtol=0, atol=1e-5)  # float32 sums in another order
    assert abs(float(taught - plain)) > 0.01
