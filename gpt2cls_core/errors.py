"""What can go wrong, in one small tree. Every message says what to do.

Gpt2clsError
├── TextError        the text can't be read: not a string, empty, nothing but blanks
├── ModelError       the classifier can't be loaded: no such name, wrong architecture, missing or broken files, no network
├── OptionError      an argument outside its range: an unknown baseline, a class, layer or token that does not exist
└── DataError        training or measuring data can't be used: missing split, wrong columns, one class only
"""

from __future__ import annotations

__all__ = ["DataError", "Gpt2clsError", "ModelError", "OptionError", "TextError"]


class Gpt2clsError(Exception):
    """Base of every error that this package raises on purpose."""


class TextError(Gpt2clsError, ValueError):
    """The text can't be read."""


class ModelError(Gpt2clsError):
    """The classifier can't be loaded."""


class OptionError(Gpt2clsError, ValueError):
    """An argument is outside its range."""


class DataError(Gpt2clsError):
    """The data for training or measuring can't be used."""
