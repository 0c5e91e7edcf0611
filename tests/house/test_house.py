"""The rules of the house that no linter keeps: sizes, names, openings, errors, addresses."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "saccade"
FILES = sorted(SRC.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "core"}
CODE = re.compile(r'code(?:: str)? ?= ?"(\d{3})"')  # of a call, or a default


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def lines_of_code(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SRC)))
class TestEveryFile:
    def test_fits_on_a_few_screens(self, file: Path) -> None:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES

    def test_is_named_for_what_it_holds(self, file: Path) -> None:
        assert file.stem.strip("_") not in VAGUE

    def test_opens_by_saying_what_it_is_for(self, file: Path) -> None:
        assert ast.get_docstring(tree(file))

    def test_has_functions_one_can_see_whole(self, file: Path) -> None:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        functions = [n for n in ast.walk(tree(file)) if isinstance(n, kinds)]
        lines = [(f.name, f.lineno, lines_of_code(f)) for f in functions]
        assert [own for own in lines if own[2] > MAX_FUNCTION_LINES] == []


def test_the_first_digit_of_every_error_code_is_the_exit_code_of_its_kind() -> None:
    digits = {"UsageError": "2", "DataError": "3", "ResourceError": "4", "ArtefactError": "5"}
    wrong = []
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = digits.get(node.func.id)
                codes = [
                    k.value.value
                    for k in node.keywords
                    if k.arg == "code" and isinstance(k.value, ast.Constant)
                ]
                wrong += [
                    f"{file.name}: {node.func.id} {c}"
                    for c in codes
                    if kind and not c.startswith(kind)
                ]
    assert wrong == []


def test_every_error_code_is_in_the_docs_and_every_code_there_exists() -> None:
    used = {code for file in FILES for code in CODE.findall(file.read_text(encoding="utf-8"))}
    listed = set(re.findall(r"SACCADE-E(\d{3})", (ROOT / "docs" / "errors.md").read_text()))
    assert listed == used


def test_the_lock_file_holds_names_versions_and_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    names = re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE)
    assert len(names) > 50
    entries = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(entries) == len(names)
    assert [own.split("==")[0] for own in entries if "--hash=sha256:" not in own] == []
