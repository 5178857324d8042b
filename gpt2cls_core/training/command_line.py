"""From a class of options to a command line, and back from a run's options to the command that repeats it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import types
import typing
from dataclasses import MISSING
from pathlib import Path
from typing import Any

__all__ = ["add_arguments", "command_line", "option", "portable"]


def option(text: str, default: Any = MISSING, **more: Any) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A dataclass field that explains itself on the command line; `more` goes to `add_argument`."""
    return dataclasses.field(default=default, metadata={"help": text, **more})


def add_arguments(parser: argparse.ArgumentParser, options: type) -> None:
    """One command line argument per field of an options class."""
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        if isinstance(kind, types.UnionType):  # int | None
            kind = typing.get_args(kind)[0]
        arguments: dict[str, Any] = dict(field.metadata)
        if field.default is MISSING:
            arguments["required"] = True
        else:
            arguments["default"] = field.default
            if field.default not in (None, ()) and kind is not bool:
                shown = field.default if isinstance(field.default, tuple) else (field.default,)
                arguments["help"] += f" (default: {' '.join(map(str, shown))})"
        if kind is bool:
            arguments["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is tuple:
            arguments |= {"nargs": "+", "type": typing.get_args(kind)[0]}
        else:
            arguments["type"] = kind
        parser.add_argument("--" + field.name.replace("_", "-"), **arguments)


def command_line(command: str, options: Any) -> str:  # noqa: ANN401 - a class of options
    """The command that repeats a run: what differs from the defaults, without this machine's folders."""
    words = ["python", "-m", "gpt2cls_core.training", command]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            values = value if isinstance(value, tuple) else (value,)
            shown = (
                portable(v) if isinstance(v, str) else f"{v:g}" if isinstance(v, float) else str(v) for v in values
            )
            words += [flag, *shown]
    return shlex.join(words)


def portable(path: str) -> str:
    """A path that means something on another machine: relative if it lies near by, else its name in ``runs``."""
    if not Path(path).is_absolute():
        return path
    near = os.path.relpath(path)
    return near if not near.startswith(os.path.join("..", "..")) else f"runs/{Path(path).name}"
