import xml.etree.ElementTree as ET

from saccade.reporting.svg import Svg, drawing, element, line, words


def test_text_and_attributes_are_escaped() -> None:
    drawn = element("text", {"title": '"><script>'}, "<b>&")
    assert drawn == '<text title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


def test_finished_markup_is_not_escaped_again() -> None:
    assert element("g", {}, element("text", {}, "a & b")) == "<g><text>a &amp; b</text></g>"


def test_a_str_in_the_guise_of_markup_does_not_pass() -> None:
    assert "<script>" not in element("g", {}, str(Svg("<script>")))


def test_bidirectional_marks_are_shown_instead_of_acting() -> None:
    assert "\u202e" not in words(0, 0, "a\u202eb")


def test_numbers_that_are_not_finite_leave_a_drawing_that_parses() -> None:
    drawn = drawing(10, 10, line(float("nan"), 0, float("inf"), 1, kind="grid"), label="a")
    assert ET.fromstring(drawn)[0].attrib["x1"] == "0"


def test_a_drawing_says_what_it_shows() -> None:
    root = ET.fromstring(drawing(10, 20, label="loss & score"))
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "loss & score")
    assert root.attrib["viewBox"] == "0 0 10 20"
