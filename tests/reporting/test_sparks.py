import math
import xml.etree.ElementTree as ET

import numpy as np

from saccade.evaluation.intervals import Estimate
from saccade.reporting.sparks import heat_levels, heat_map, interval_bar, share_bar


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=10, method="wilson")


def test_the_dot_stands_where_the_value_is_and_the_line_where_the_interval_is() -> None:
    root = ET.fromstring(interval_bar(estimate(0.5, 0.25, 0.75)))
    (dot,) = root.iter("circle")
    (own,) = [e for e in root.iter("line") if e.attrib["class"] == "range"]
    assert float(dot.attrib["cx"]) == 60
    assert (float(own.attrib["x1"]), float(own.attrib["x2"])) == (32, 88)


def test_a_value_that_is_not_defined_has_no_dot() -> None:
    assert "<circle" not in interval_bar(estimate(math.nan, math.nan, math.nan))


def test_a_bar_is_as_long_as_its_share() -> None:
    (_, bar) = ET.fromstring(share_bar(30, 120)).iter("rect")
    assert float(bar.attrib["width"]) == 30


def test_a_bar_of_nothing_is_empty() -> None:
    assert '<rect x="0" y="3" width="0"' in share_bar(0, 0)


def test_heat_grows_with_the_share_of_the_row_and_an_empty_row_stays_cold() -> None:
    levels = heat_levels(np.array([[100, 0, 0], [1, 99, 0], [0, 0, 0]]))
    assert levels.tolist() == [[10, 0, 0], [1, 10, 0], [0, 0, 0]]


def test_a_map_draws_each_cell_that_is_not_empty_once() -> None:
    confusion = np.eye(40, dtype=int) * 3
    confusion[3, 5] = 2
    drawn = [e.attrib for e in ET.fromstring(heat_map(confusion, title="t")).iter("path")]
    squares = {a["class"].split()[0]: 0 for a in drawn}
    for a in drawn:
        squares[a["class"].split()[0]] += a["d"].count("M")
    assert squares == {"right": 40, "wrong": 1}
