"""Budgets: what a text means, what is refused, and what is left as time goes by."""

import math
import time

import pytest

from saccade.runtime.budget import NO_BUDGET, Budget, parse_seconds
from saccade.runtime.errors import UsageError
from saccade.training.recipe_file import make_recipe


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), (" 90 s ", 90), ("15m", 900), ("1.5m", 90), ("2h", 7200),
        ("", math.inf),
    ],
)  # fmt: skip
def test_a_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["soon", "0s", "0", "-5m", "5d", "1e3", "inf", " ", "1m30s", "5 M", "2s 3"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_seconds(text)
    assert caught.value.code == "SACCADE-E237"
    assert str(caught.value) == (
        f"--budget is '{text}', which is no time.\n"
        "  where: --budget\n"
        "  fix:   write seconds, minutes or hours: 90s, 15m, 2h"
    )


@pytest.mark.parametrize("text", ["2", " 1.5 ", "90"])
def test_a_number_without_a_unit_is_refused_and_shown_in_each(text: str) -> None:
    """2 is silently neither two seconds nor two minutes."""
    with pytest.raises(UsageError) as caught:
        parse_seconds(text)
    assert caught.value.code == "SACCADE-E237"
    number = text.strip()
    assert str(caught.value) == (
        f"--budget is '{text}', which has no unit.\n"
        "  where: --budget\n"
        f"  fix:   write {number}s for seconds, {number}m for minutes or {number}h for hours"
    )


def test_a_recipe_with_no_time_for_a_budget_is_refused_before_anything_is_done() -> None:
    with pytest.raises(UsageError, match=r"--budget is 'soon', which is no time\."):
        make_recipe({"budget": "soon"}, where="the command line")


def test_what_is_spent_and_what_is_left_make_the_whole() -> None:
    budget = Budget(seconds=60, begun=time.monotonic() - 45)
    assert budget.limited
    assert budget.spent == pytest.approx(45, abs=1)
    assert budget.left == pytest.approx(15, abs=1)


def test_after_the_deadline_less_than_nothing_is_left() -> None:
    assert Budget(seconds=1, begun=time.monotonic() - 3).left < -1.9


def test_no_budget_is_never_spent() -> None:
    assert not NO_BUDGET.limited
    assert NO_BUDGET.left == math.inf
