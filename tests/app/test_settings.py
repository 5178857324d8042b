"""What an owner sets by environment variables."""

from __future__ import annotations

import pytest

from app.settings import FIRST_TEXT, Settings, read_settings
from gpt2cls_core import OptionError, TextError


def test_nothing_set_is_the_default():
    assert read_settings({}) == Settings() == Settings((), FIRST_TEXT, 100_000, 64)
    assert read_settings({"GPT2CLS_MODELS": " , ", "GPT2CLS_TEXT": " ", "GPT2CLS_QUEUE": ""}) == Settings()


def test_all_can_be_set():
    given = {
        "GPT2CLS_MODELS": "head, someone/a-model ,head,folder/of mine",
        "GPT2CLS_TEXT": "  Fine.\n",
        "GPT2CLS_CHARACTERS": "500",
        "GPT2CLS_QUEUE": "7",
    }
    assert read_settings(given) == Settings(("head", "someone/a-model", "folder/of mine"), "Fine.", 500, 7)


@pytest.mark.parametrize("number", ["0", "-3", "many", "1.5", "100001", "²"])
def test_a_number_that_is_none_or_out_of_range_is_named(number):
    with pytest.raises(OptionError, match="GPT2CLS_CHARACTERS must be a whole number from 1 to 100,000, not"):
        read_settings({"GPT2CLS_CHARACTERS": number})


def test_a_first_text_beyond_the_limit_is_refused_at_once():
    with pytest.raises(OptionError, match="GPT2CLS_TEXT has 6 characters; GPT2CLS_CHARACTERS allows 5"):
        read_settings({"GPT2CLS_TEXT": "sixsix", "GPT2CLS_CHARACTERS": "5"})


def test_a_text_beyond_the_limit_is_told_how_long_it_may_be():
    within = Settings(characters=4).within
    assert within("four") == "four"
    with pytest.raises(TextError, match="The text has 5 characters; shorten it to 4 or fewer"):
        within("fives")
