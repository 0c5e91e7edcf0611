"""What the page says of a naive split, in whole sentences."""

import json
from pathlib import Path
from typing import Any

from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.study_naive_split import sentence


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 340, "method": "wilson-jackknife"}


FOUND: dict[str, Any] = {
    "score_name": "accuracy",
    "features": "mobilenetv2_100",
    "n": 340,
    "num_groups": 68,
    "num_tied": 320,
    "num_deals": 2,
    "naive": estimate(0.971, 0.95, 0.985),
    "grouped": estimate(0.912, 0.88, 0.94),
    "difference": estimate(0.059, 0.03, 0.088),
}


def test_a_split_that_flatters_is_called_by_its_claim() -> None:
    assert sentence(FOUND) == (
        "A naive split would have claimed 0.971; this one says 0.912: +0.059 [+0.030, +0.088] on "
        "the same 340 pictures, 320 of them in 68 groups; the rest is pictures recognised by their "
        "like."
    )


def test_where_nothing_is_shown_it_says_that() -> None:
    found = FOUND | {"difference": estimate(0.004, -0.01, 0.018)}
    assert sentence(found) == (
        "A naive split would have claimed 0.971 [0.950, 0.985], this one says 0.912 [0.880, "
        "0.940]: that tearing the groups apart flatters is not shown (+0.004 [−0.010, +0.018] on "
        "the same 340 pictures, 320 of them in 68 groups)."
    )


def test_of_an_error_the_smaller_one_flatters() -> None:
    found = FOUND | {
        "score_name": "mae",
        "naive": estimate(1.2, 1.0, 1.4),
        "grouped": estimate(2.0, 1.7, 2.3),
        "difference": estimate(-0.8, -1.1, -0.5),
    }
    assert sentence(found).startswith(
        "A naive split would have claimed an error of 1.200; this one says 2.000: −0.800"
    )
    assert sentence(found).endswith("recognised by their like.")


def test_the_page_shows_it_under_whether_to_believe(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Plan())
    trust = {"format_version": 1, "studies": {"naive_split": FOUND}, "left_out": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    html = render(collect(run, picture=noise_picture))
    at = html.index("What a naive split would have claimed")
    assert html.index('id="believe"') < at < html.index('id="good"')
    assert "naive: groups torn apart" in html
