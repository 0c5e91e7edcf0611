import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from tests.reporting import ladders

from saccade.reporting.axes import LEFT, LETTER, RIGHT, WIDTH, rows_of
from saccade.reporting.ladder_chart import ladder_chart
from saccade.reporting.learning import learning_of


def chart(verdicts: str, *, total: float = 200.0, **fields: Any) -> str:
    return ladder_chart(learning_of(ladders.ladder(verdicts, **fields)), total_seconds=total)


def of_kind(svg: str, tag: str, kind: str) -> list[ET.Element]:
    return [e for e in ET.fromstring(svg).iter(tag) if kind in e.attrib.get("class", "").split()]


def told(svg: str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(svg).iter("title")]


def test_without_rungs_nothing_is_drawn() -> None:
    assert ladder_chart(learning_of([ladders.head()]), total_seconds=10) == ""
    assert ladder_chart(learning_of([]), total_seconds=math.nan) == ""


def test_kept_rungs_are_filled_and_undone_ones_hollow_with_their_names() -> None:
    svg = chart("+-")
    assert len(of_kind(svg, "circle", "point")) == 2 + 1  # head, last stage, legend
    assert len(of_kind(svg, "circle", "hollow")) == 1 + 1
    assert [e.text for e in of_kind(svg, "text", "kept")] == ["head", "last stage"]
    assert [e.text for e in of_kind(svg, "text", "undone")] == ["last 2 stages"]


def test_the_line_joins_the_kept_ones_in_steps_and_ends_with_the_run() -> None:
    svg = chart("+-", total=400)
    (step,) = of_kind(svg, "path", "step")
    head, first = [e for e in of_kind(svg, "circle", "point") if float(e.attrib["r"]) == 5]
    assert re.findall("[A-Z]", step.attrib["d"]) == ["M", "H", "V", "H"]
    numbers = [float(n) for n in re.findall(r"[\d.]+", step.attrib["d"])]
    at = [float(c.attrib[key]) for c in (head, first) for key in ("cx", "cy")]
    assert numbers == pytest.approx([*at, WIDTH - RIGHT], abs=0.1)


def test_each_point_tells_its_numbers_and_an_accuracy_its_interval() -> None:
    svg = chart("-", validation_score=0.9)
    assert told(svg)[-1] == (
        "last stage: accuracy 0.900 (0.833 to 0.944, n = 120) after 16 s, undone"
    )
    assert len(of_kind(svg, "line", "range")) == 2


def test_an_error_has_no_interval_and_says_that_lower_is_better() -> None:
    svg = chart("-+", score_name="negative_rmse", validation_score=-3.4)
    assert of_kind(svg, "line", "range") == []
    assert "validation RMSE (lower is better)" in svg
    assert told(svg)[0] == "head: RMSE 3.400 after 12 s, kept"


def test_points_that_were_not_recorded_are_left_out() -> None:
    events = [ladders.head(validation_score=None), ladders.rung(1, taken=False)]
    svg = ladder_chart(learning_of(events), total_seconds=50)
    assert len(told(svg)) == 1
    nothing = [ladders.head(validation_score=None), ladders.rung(1, taken=False, at_seconds=None)]
    assert ladder_chart(learning_of(nothing), total_seconds=50) == ""


@pytest.mark.parametrize("verdicts", ["+", "--", "++-+--"])
def test_everything_lies_within_the_drawing(verdicts: str) -> None:
    svg = chart(verdicts, total=math.nan)
    _, _, width, height = map(float, ET.fromstring(svg).attrib["viewBox"].split())
    for e in ET.fromstring(svg).iter("circle"):
        assert 0 <= float(e.attrib["cx"]) <= width
        assert 0 <= float(e.attrib["cy"]) <= height
    for e in (*of_kind(svg, "text", "kept"), *of_kind(svg, "text", "undone")):
        assert LEFT <= float(e.attrib["x"]) <= width - LETTER * len(e.text or "") + 1
        assert float(e.attrib["y"]) > 20


def test_no_name_covers_another_and_no_leader_crosses_a_name() -> None:
    starts, texts = [0.0, 5.0, 40.0, 200.0], ["head", "last stage", "last 2 stages", "all"]
    rows = rows_of(starts, texts)
    for i, start in enumerate(starts):
        for j in range(i + 1, len(starts)):
            covers = start + LETTER * len(texts[i]) > starts[j]
            assert not covers or rows[i] > rows[j]
