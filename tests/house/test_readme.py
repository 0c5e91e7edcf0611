"""The README says what is there: its commands parse, and its files exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saccade.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
        for line in block.splitlines()
        if line.startswith("saccade ")
    }
)
FLAGS = {
    (shlex.split(command)[1], flag)
    for command in COMMANDS
    for flag in re.findall(r"(--[a-z-]+)", command)
}


@pytest.mark.parametrize(("verb", "flag"), sorted(FLAGS))
def test_every_flag_in_the_readme_is_a_flag_of_its_verb(verb: str, flag: str) -> None:
    told = CliRunner().invoke(app, [verb, "--help"])
    assert told.exit_code == 0
    assert flag in told.stdout


def test_every_verb_in_the_readme_exists() -> None:
    verbs = {shlex.split(command)[1] for command in COMMANDS}
    assert {"train", "check", "predict", "eval", "models", "resume"} <= verbs
    for verb in verbs:
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0


def test_every_page_that_is_linked_exists() -> None:
    pages = re.findall(r"\]\(([^)]+\.md)\)", README)
    assert len(pages) >= 8
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
