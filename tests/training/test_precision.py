"""In which arithmetic a run learns: what was asked for, or what the processor has."""

import dataclasses

import pytest

from saccade.training import precision
from saccade.training.precision import learns_in_bf16
from saccade.training.recipe import Recipe


@pytest.mark.parametrize(
    ("asked", "device", "there", "expected"),
    [
        ("auto", "cpu", True, True),
        ("auto", "cpu", False, False),
        ("auto", "cuda", True, False),
        ("fp32", "cpu", True, False),
        ("bf16", "cpu", False, True),
        ("bf16", "cuda", False, True),
    ],
)
def test_auto_is_bf16_on_a_processor_that_has_it(
    asked: str, device: str, there: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: there)
    recipe = dataclasses.replace(Recipe(), precision=asked)
    assert learns_in_bf16(recipe, device) is expected
