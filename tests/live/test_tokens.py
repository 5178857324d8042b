"""The browser's tokenizer reads every text as Python's does: ids, what is shown, where it stands, and which words it spells."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

from live.conftest import Run

from app import models

SPELLED = """
good film don't well-made it’s I'LL naïve état e\u0301 a\u0308\u0323 Ελλάδα привет 日本語 한국어 हिन्दी ไทย עִבְרִית שלום العَرَبِيَّة مرحبا
𝒳 𐍈 👍 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ 1️⃣ 💔 ① ½ ٣ Ⅻ 五 _ a_b ... … !? — – “q” <|endoftext|> <b> &amp; http://x.y/?a=1 #tag $5.00 50% C++
ﬁ ß İ ı ǅ ª ² ™ €
"""
UNSEEN = [  # marks of direction, joiners, control characters, no characters
    "\u202eabc\u202c", "\u200f", "\u200b", "\u200d", "\u2060", "\ufeff", "\xad", "\0", "\a", "\x1b[0m", "\x7f", "\uffff", "\ufffd",
]  # fmt: skip
PIECES = [*SPELLED.split(), *UNSEEN]
BLANKS = [
    *" \t\n\v\f\r\x1c\x1f\x85\xa0\u1680\u180e\u2003\u2028\u2029\u202f\u205f\u3000",
    "  ", "   ", "\r\n", "\n\n", "", "", "", " ", " ",
]  # fmt: skip
RANGES = [(0x01, 0x300), (0x300, 0x3000), (0x3000, 0xD800), (0xE000, 0x20000), (0xE0000, 0xE0200)]


def made(count: int) -> list[str]:
    """Texts of odd words and characters with odd blanks between them; characters that no Unicode version knows yet left out."""
    draw = random.Random(0)
    texts: list[str] = []
    while len(texts) < count:
        pieces = []
        for _ in range(draw.randrange(1, 14)):
            character = chr(draw.randrange(*draw.choice(RANGES)))
            known = unicodedata.category(character) != "Cn"
            pieces += [draw.choice(BLANKS), character if known and draw.random() < 0.15 else draw.choice(PIECES)]
        texts.append("".join(pieces) + draw.choice(BLANKS))
    return texts


def test_two_thousand_texts_are_read_alike(run: Run, full_files: Path) -> None:
    clf = models.classifier("full")
    texts = [*made(2500), "word " * 400, "👩‍👩‍👧" * 100]  # the last two are longer than the context
    calls = [["tokenize", text] for text in texts]
    found = run("engine.mjs", {"files": str(full_files), "jobs": [{"model": "full", "calls": calls}]})
    for text, read in zip(texts, found, strict=True):
        encoding = clf.encode(text)
        expected = {
            "text": text,
            "ids": encoding.input_ids.tolist(),
            "tokens": list(encoding.tokens),
            "offsets": [list(offset) for offset in encoding.offsets],
            "words": [{"text": word.text, "start": word.start, "stop": word.stop} for word in encoding.words],
            "tokens_cut": encoding.tokens_cut,
            "n_virtual": 0,
        }
        assert read == expected
    assert found[-1]["tokens_cut"] > 0
