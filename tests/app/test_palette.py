"""Colours: one list, readable in light and dark, and each swapped for its namesake; nothing is fetched from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.palette import DARK, FONT, LIGHT, MONO, css_variables

APP = Path(__file__).resolve().parents[2] / "app"
PALETTES = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
TEXT = ("ink", "mute", "negative", "positive", "read", "frozen")  # colours that words are written in
TINTS = ("negative", "positive", "attention", "less")  # colours behind a token
READABLE = 4.5  # WCAG 2.2, 1.4.3
DISCERNIBLE = 3.0  # WCAG 2.2, 1.4.11


def channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def luminance(rgb: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: list[float], other: list[float]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(tint: str, share: float, ground: str) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(channels(tint), channels(ground), strict=True)]


def test_contrast_is_computed_as_the_standard_says():
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast(channels("#767676"), channels("#ffffff")) == pytest.approx(4.54, abs=0.005)  # the well-known grey


@PALETTES
@pytest.mark.parametrize("colour", TEXT)
@pytest.mark.parametrize("ground", ["bg", "card"])
def test_words_can_be_read(palette, colour, ground):
    assert contrast(channels(palette[colour]), channels(palette[ground])) >= READABLE


@PALETTES
@pytest.mark.parametrize("colour", ["ink", "mute", "negative", "positive"])
def test_words_of_a_question_can_be_read_on_its_ground(palette, colour):
    assert contrast(channels(palette[colour]), channels(palette["soft"])) >= READABLE


@PALETTES
@pytest.mark.parametrize("colour", ["negative", "positive", "attention", "less", "read", "frozen"])
def test_what_is_painted_stands_out_from_an_empty_cell(palette, colour):
    assert contrast(channels(palette[colour]), channels(palette["zero"])) >= DISCERNIBLE


@pytest.mark.parametrize(("palette", "rule"), [(LIGHT, ".token"), (DARK, ".dark .token")], ids=["light", "dark"])
@pytest.mark.parametrize("tint", TINTS)
def test_a_token_can_be_read_on_its_strongest_colour(palette, rule, tint):
    sheet = (APP / "theme.css").read_text(encoding="utf-8")
    strongest = re.search(rf"^{re.escape(rule)} {{[^}}]*--strongest: (\d+)%", sheet, flags=re.MULTILINE)
    behind = mixed(palette[tint], int(strongest[1]) / 100, palette["card"])
    assert contrast(channels(palette["ink"]), behind) >= READABLE


def test_light_and_dark_name_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in [*LIGHT.values(), *DARK.values()])


def test_no_two_light_colours_are_equal_so_that_each_can_be_swapped():
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_no_light_colour_is_a_dark_one_so_that_a_figure_shows_which_it_has():
    assert not set(LIGHT.values()) & set(DARK.values())


def test_negative_and_positive_are_orange_and_blue_never_red_and_green():
    for palette in (LIGHT, DARK):
        red, green, blue = channels(palette["negative"])
        assert red > green > blue
        red, green, blue = channels(palette["positive"])
        assert blue > green > red


def test_css_knows_every_colour():
    assert css_variables({"ink": "#123456", "bg": "#abcdef"}) == "--c-ink:#123456;--c-bg:#abcdef;"


def written(kind: str) -> list[Path]:
    """The app's own files of a kind, without installed packages."""
    return [file for file in APP.rglob(f"*.{kind}") if "node_modules" not in file.parts]


def test_style_and_scripts_use_only_colours_of_the_palette():
    sheet = (APP / "theme.css").read_text(encoding="utf-8")
    assert set(re.findall(r"var\(--c-([\w-]+)\)", sheet)) <= LIGHT.keys()
    for file in [APP / "theme.css", *written("js")]:
        assert re.findall(r"#[0-9a-fA-F]{6}\b|rgba?\(", file.read_text(encoding="utf-8")) == [], file


def test_style_scripts_and_lessons_name_no_other_host():
    files = [*written("css"), *written("js"), *written("md")]
    assert len(files) > 5
    for file in files:
        assert re.findall(r"https?://|//\w+\.\w+|@import", file.read_text(encoding="utf-8")) == [], file
    assert "http" not in FONT + MONO
