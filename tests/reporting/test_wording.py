"""Numbers in words: nothing that is there is told as nothing, and nothing less than all as all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.evaluation.digits import signed
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.scores import as_json
from saccade.reporting.collect import collect
from saccade.reporting.estimates import told, told_change
from saccade.reporting.page import render
from saccade.reporting.wording import decimals, interval, value

SMALL = {"value": 0.00042, "low": 0.0003, "high": 0.00049, "n": 200, "method": "bootstrap-t"}


def test_a_small_error_is_not_told_as_none() -> None:
    assert told(SMALL, "mae") == "0.00042 [0.0003, 0.00049]"
    fall = SMALL | {"value": -0.00042, "low": -0.00051, "high": 0.00002}
    assert told_change(fall, "mae") == "−0.00042 [−0.00051, +2e-5]"


@pytest.mark.parametrize(
    ("number", "as_share", "as_error"),
    [
        (0.0, "0.000", "0.000"),
        (0.0123456, "0.012", "0.0123"),
        (0.04, "0.040", "0.040"),
        (0.099999, "0.100", "0.100"),
        (0.5, "0.500", "0.500"),
        (0.99949, "0.999", "0.999"),
        (0.9996, "> 0.999", "1.000"),
        (1.0, "1.000", "1.000"),
        (3.25, "3.250", "3.250"),
        (1234.5, "1,234", "1,234"),
        (1e-17, "0.000", "0.000"),  # what is left of a sum that should be 0
        (-0.9996, "−1.000", "−1.000"),
        (float("nan"), "–", "–"),
    ],
)
def test_a_share_has_three_decimals_and_an_error_three_figures(
    number: float, as_share: str, as_error: str
) -> None:
    assert decimals(number) == as_share
    assert decimals(number, share=False) == as_error


def test_a_sign_stands_before_what_is_not_nothing() -> None:
    assert [signed(number) for number in (0.0, 1e-17, 0.0002, -0.9996)] == [
        "0.000", "0.000", "+0.000", "−1.000",
    ]  # fmt: skip


def test_the_page_has_the_figures_of_a_small_error(run_of: Callable[..., Path]) -> None:
    run = run_of(kind="regression")
    mae = Estimate(**{**SMALL, "value": 0.01234, "low": 0.0103, "high": 0.02})
    assert (value(mae, share=False), interval(mae, share=False)) == ("0.0123", "0.0103 to 0.020")
    (run / "metrics.json").write_text(json.dumps(as_json({"test": {"mae": mae}})))
    html = render(collect(run, picture=lambda path: None))
    large, table = '<span class="big">0.0123</span>', '<span class="num">0.0123</span>'
    assert large in html
    assert table in html
    assert html.count("0.0103 to 0.020") == 2
