"""What the owner of a running page decides, by environment variables; on a Space they are set among its variables.

| variable | what it sets | default |
|---|---|---|
| ``GPT2CLS_MODELS`` | models to switch between, the default first: bundled names, folders, hub ids; commas between | all bundled |
| ``GPT2CLS_TEXT`` | the text that stands there at first | a sentence of ours |
| ``GPT2CLS_CHARACTERS`` | the most characters of a text | 100,000 |
| ``GPT2CLS_QUEUE`` | requests that may wait; whoever comes then is told to try again | 64 |

Visitors choose among these models and can load no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpt2cls_core import OptionError, TextError
from gpt2cls_core.encoding import MAX_CHARACTERS

__all__ = ["Settings", "read_settings"]

FIRST_TEXT = "It starts slowly, but by the end I loved every minute of it."


@dataclass(frozen=True)
class Settings:
    """See the table above; no models stand for the bundled ones."""

    models: tuple[str, ...] = ()
    text: str = FIRST_TEXT
    characters: int = MAX_CHARACTERS
    queue: int = 64

    def within(self, text: str) -> str:
        """The text, if it is no longer than allowed.

        Raises:
            TextError: it is longer.
        """
        if len(text) > self.characters:
            raise TextError(f"The text has {len(text):,} characters; shorten it to {self.characters:,} or fewer.")
        return text


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the variables; one that is empty counts as not set.

    Raises:
        OptionError: a number is none, or out of its range, or the text is longer than the limit.
    """
    characters = _number(environment, "GPT2CLS_CHARACTERS", Settings.characters, most=MAX_CHARACTERS)
    text = environment.get("GPT2CLS_TEXT", "").strip() or FIRST_TEXT
    if len(text) > characters:
        raise OptionError(f"GPT2CLS_TEXT has {len(text):,} characters; GPT2CLS_CHARACTERS allows {characters:,}.")
    names = [name.strip() for name in environment.get("GPT2CLS_MODELS", "").split(",")]
    return Settings(
        models=tuple(dict.fromkeys(name for name in names if name)),
        text=text,
        characters=characters,
        queue=_number(environment, "GPT2CLS_QUEUE", Settings.queue, most=10_000),
    )


def _number(environment: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    given = environment.get(name, "").strip()
    if not given:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= most:
        raise OptionError(f"{name} must be a whole number from 1 to {most:,}, not {given!r}.")
    return int(given)
