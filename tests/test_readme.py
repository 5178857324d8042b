"""What README promises is what CI runs and what a Space reads."""

from __future__ import annotations

import re
from pathlib import Path

from gpt2cls_core.training.report import report

ROOT = Path(__file__).resolve().parents[1]


def front_matter() -> dict[str, str]:
    """The keys that Hugging Face Spaces reads, one ``key: value`` a line between two rules."""
    _, block, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    pairs = re.findall(r"^(\w+):[ \t]*(.*)$", block, flags=re.MULTILINE)
    return {key: value.strip("\"' ") for key, value in pairs}


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in script if line.startswith(("pip install", "python -m pytest"))]
    assert len(commands) == 2
    assert " && ".join(commands) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_space_gets_the_gradio_that_was_tested():
    assert front_matter()["sdk"] == "gradio"
    assert front_matter()["sdk_version"] == pins()["gradio"]


def test_the_space_finds_its_app_file():
    assert (ROOT / front_matter()["app_file"]).is_file()


def test_the_short_description_is_short_enough_for_a_space():
    assert len(front_matter().get("short_description", "")) <= 60  # Spaces refuse a longer one


def test_requirements_pin_what_the_project_depends_on_and_nothing_else():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = project.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    assert set(pins()) == set(re.findall(r'^ +"([a-z0-9-]+)', block, flags=re.MULTILINE))


def test_the_measured_tables_are_those_of_the_results_file():
    assert report(str(ROOT / "assets" / "results.json")) in (ROOT / "README.md").read_text(encoding="utf-8")
