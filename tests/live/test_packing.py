"""What is packed as text comes out as it was, whatever its length."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
from live.conftest import Run

from app.live.packing import halves, packed, script_beside, script_within


def test_files_come_out_as_they_were(run: Run, tmp_path: Path) -> None:
    """Two bytes of zeros, all bytes, and noise of lengths that don't fill the last character."""
    noise = np.random.default_rng(0).integers(0, 256, 100_002, np.uint8).tobytes()
    files = {"zeros": b"\0\0", "all": bytes(range(256)), "noise": noise, **halves(noise)}
    beside = {name: script_beside(name, packed(content)) for name, content in files.items()}
    for name, script in beside.items():
        (tmp_path / f"{name}.js").write_bytes(script)
    found = run("unpack.mjs", {"within": {}, "beside": [str(tmp_path / f"{name}.js") for name in files]})
    assert {name: base64.b64decode(content) for name, content in found.items()} == files | {"merged": noise}
    within = {name: _text(script_within(name, packed(content))) for name, content in files.items()}
    assert run("unpack.mjs", {"within": within, "beside": []}) == found


def test_a_script_beside_holds_fifteen_bits_a_character_and_says_its_encoding() -> None:
    script = script_beside("noise", packed(np.random.default_rng(1).integers(0, 256, 60_000, np.uint8).tobytes()))
    assert script.startswith(b"\xff\xfe")  # UTF-16, lower byte first
    assert len(script) < 60_000 * 16 / 15 + 300  # noise can't be compressed; 300 for the call around it
    text = script.decode("utf-16")
    held = text.partition('text: "')[2].partition('"')[0]
    assert set(map(ord, held)) <= set(range(0x3000, 0x3000 + 2**15))


def _text(script: str) -> str:
    return re.search(r'id="packed-\w+">([^<]*)</script>', script).group(1)
