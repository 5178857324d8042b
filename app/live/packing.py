"""Files as text, because a page that is opened from a file may read no other file: ``unpack.js`` reads what is written here.

Within a page they stand as base64, 4 characters for 3 bytes. As scripts beside a page they stand in UTF-16, a character of two
bytes for 15 bits; the mark at such a file's beginning tells the encoding, whatever a server says. All are compressed before.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

import numpy as np

__all__ = ["halves", "packed", "script_beside", "script_within"]

FIRST_CHARACTER = 0x3000  # of the 2¹⁵ in a row that stand for 15 bits: letters, none with a meaning in JavaScript
BITS = 15
GROUPS = 1 << 16  # of 15 bytes, packed at once


def packed(content: bytes) -> bytes:
    """A file compressed."""
    return gzip.compress(content, 9, mtime=0)


def script_within(name: str, packed: bytes) -> str:
    """A packed file as a part of the page, and the word that it is there."""
    told = f'<script>gpt2clsEngine.here("{name}")</script>'
    return f'<script type="text/plain" id="packed-{name}">{base64.b64encode(packed).decode()}</script>{told}'


def script_beside(name: str, packed: bytes) -> bytes:
    """A packed file as a script of its own."""
    start = f'gpt2clsEngine.here("{name}", {{ size: {len(packed)}, text: "'
    return f"\ufeff{start}".encode("utf-16-le") + _dense(packed) + '" });\n'.encode("utf-16-le")


def halves(weights: bytes) -> Mapping[str, bytes]:
    """Numbers of 16 bits as two files, their lower and their higher bytes: sign and exponent repeat, the rest does not."""
    return {"low": weights[::2], "high": weights[1::2]}


def _dense(content: bytes) -> bytes:
    """15 bits to a character of UTF-16; the last is filled up with zeros."""
    step = BITS * GROUPS
    return b"".join(_characters(content[i : i + step]) for i in range(0, len(content), step))


def _characters(content: bytes) -> bytes:
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    bits = np.pad(bits, (0, -len(bits) % BITS)).reshape(-1, BITS)
    values = np.packbits(np.pad(bits, ((0, 0), (16 - BITS, 0))), axis=1).view(">u2")  # a zero before each 15
    return (values + FIRST_CHARACTER).astype("<u2").tobytes()
