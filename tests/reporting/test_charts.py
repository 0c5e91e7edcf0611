import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from saccade.reporting.axes import Axis, around, round_values
from saccade.reporting.charts import MAX_DOTS, Series, dumbbells, histogram, line_chart, scatter

nan = math.nan
X = Axis(title="epoch", low=1, high=4, whole=True)
Y = Axis(title="loss", low=0, high=2)


def points(svg: str, kind: str) -> list[list[tuple[float, float]]]:
    lines = [e for e in ET.fromstring(svg).iter("polyline") if kind in e.attrib["class"].split()]
    return [
        [(float(x), float(y)) for x, _, y in (p.partition(",") for p in e.attrib["points"].split())]
        for e in lines
    ]


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(svg).iter("text")]


def test_a_falling_loss_is_a_line_that_goes_down_on_the_screen() -> None:
    svg = line_chart([Series(name="train", x=[1, 2, 3], y=[2, 1, 0.5])], X, Y, title="Loss")
    (drawn,) = points(svg, "a")
    assert drawn == sorted(drawn)  # to the right, and y grows downwards in SVG
    assert drawn[0][1] < drawn[1][1] < drawn[2][1]


def test_equal_steps_are_drawn_as_equal_steps() -> None:
    svg = line_chart([Series(name="a", x=[1, 2, 3, 4], y=[0, 1, 2, 1])], X, Y, title="t")
    (drawn,) = points(svg, "a")
    assert drawn[1][0] - drawn[0][0] == pytest.approx(drawn[3][0] - drawn[2][0], abs=0.11)
    assert drawn[0][1] - drawn[1][1] == pytest.approx(drawn[1][1] - drawn[2][1], abs=0.11)


def test_a_value_that_was_not_recorded_breaks_the_line() -> None:
    svg = line_chart([Series(name="a", x=[1, 2, 3, 4], y=[1, 1, nan, 1])], X, Y, title="t")
    assert [len(run) for run in points(svg, "a")] == [2]


def test_axes_are_named_and_epochs_are_whole() -> None:
    svg = line_chart([Series(name="a", x=[1, 4], y=[1, 2])], X, Y, title="t")
    assert texts(svg)[-6:] == ["1", "2", "3", "4", "epoch", "loss"]


def test_two_lines_have_a_legend_and_one_has_none() -> None:
    one, two = Series(name="train", x=[1], y=[1]), Series(name="validation", x=[1], y=[1])
    assert {"train", "validation"} <= set(texts(line_chart([one, two], X, Y, title="t")))
    assert "train" not in texts(line_chart([one], X, Y, title="t"))


def test_a_single_epoch_can_be_drawn() -> None:
    x = Axis(title="epoch", low=1, high=1, whole=True)
    assert ET.fromstring(line_chart([Series(name="a", x=[1], y=[1])], x, Y, title="t")) is not None


def test_a_logarithmic_axis_places_each_power_at_the_same_distance() -> None:
    axis = Axis(title="penalty", low=1e-4, high=1, log=True)
    assert [axis.share(v) for v in (1e-4, 1e-2, 1.0)] == pytest.approx([0, 0.5, 1])
    assert axis.ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0.91, 0.93), (1e-6, 3e-6), (0, 12345)])
def test_ticks_lie_within_the_axis_and_are_few(low: float, high: float) -> None:
    ticks = round_values(low, high)
    assert 3 <= len(ticks) <= 8
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in ticks)


def test_many_dots_are_thinned_evenly() -> None:
    many = np.arange(10_001.0)
    axis = Axis(title="", low=0, high=10_001)
    svg = scatter(many, many, x=axis, y=axis, title="t")
    assert 1_000 < svg.count("<circle") <= MAX_DOTS
    across = [float(own.attrib["cx"]) for own in ET.fromstring(svg).iter("circle")]
    steps = np.diff(across)
    assert steps.max() - steps.min() <= 0.2  # coordinates have one decimal
    ends = scatter(many[[0, -1]], many[[0, -1]], x=axis, y=axis, title="t")
    first, last = (float(own.attrib["cx"]) for own in ET.fromstring(ends).iter("circle"))
    assert (across[0], across[-1]) == (first, pytest.approx(last, abs=0.3))


def test_the_bars_of_a_histogram_show_every_value_once() -> None:
    svg = histogram(np.array([0.0, 0.1, 0.9, 1.0]), x_title="residual", title="t", bins=2)
    heights = [float(e.attrib["height"]) for e in ET.fromstring(svg).iter("rect")]
    assert len(heights) == 2
    assert heights[0] == heights[1]


def test_equal_residuals_make_a_histogram_too() -> None:
    assert "<rect" in histogram(np.zeros(5), x_title="residual", title="t")


def test_gradient_norms_that_cannot_be_drawn_leave_no_chart() -> None:
    assert dumbbells(["a"], [0.0], [nan], title="t", ends=("1", "2")) == ""


def test_a_name_of_a_stage_cannot_leave_its_text() -> None:
    svg = dumbbells(["<script>"], [1.0], [0.1], title="t", ends=("epoch 1", "epoch 2"))
    assert "<script>" not in svg
    assert "<script>" in texts(svg)


def test_a_range_without_finite_values_is_zero_to_one() -> None:
    assert around([nan]) == (0.0, 1.0)
    low, high = around([3.0, 3.0])
    assert low < 3 < high
