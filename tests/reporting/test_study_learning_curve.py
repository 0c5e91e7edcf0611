"""What the page says of more pictures: whole sentences, the drawing, and hostile names."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.reporting.study_learning_curve import curve_chart, sentences, view

ALBUM = Album(lambda _path: None)


def estimate(value: float, low: float, high: float, n: int = 850) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "method": "power law"}


def gains(*three: tuple[float, float, float] | None, n: int = 850) -> list[dict[str, Any]]:
    return [
        {"more": more, "gain": estimate(*own, n=n) if own else None}
        for more, own in zip((50, 200, 1000), three, strict=True)
    ]


def class_of(
    name: str, n: int, *three: tuple[float, float, float] | None, enough: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "num_judged": n,
        "num_train": n,
        "score_name": "recall",
        "now": estimate(0.845, 0.8, 0.89, n),
        "gains": gains(*three, n=n),
        "enough": enough,
    }


FOUND: dict[str, Any] = {
    "score_name": "accuracy",
    "features": "mobilenetv2_100",
    "num_judged": 850,
    "num_train": 700,
    "num_measured": 680,
    "farthest": 2720,
    "times": 4.0,
    "law": {"ceiling": 0.94, "drop": 0.048, "exponent": 0.5, "unit": 680.0},
    "points": [
        {"size": size, "num_subsets": 2, "score": estimate(value, value - 0.03, value + 0.03)}
        for size, value in ((68, 0.787), (215, 0.852), (680, 0.895))
    ],
    "curve": [
        {"size": size, "score": estimate(value, value - 0.02, value + 0.02)}
        for size, value in ((68.0, 0.787), (680.0, 0.894), (2720.0, 0.917))
    ],
    "now": estimate(0.894, 0.874, 0.915),
    "gains": gains((0.002, 0.001, 0.002), (0.006, 0.002, 0.008), (0.017, 0.005, 0.026)),
    "classes": [
        class_of("tulips", 172, (0.003, 0.001, 0.004), (0.011, 0.002, 0.014), (0.04, 0.01, 0.05)),
        class_of("roses", 170, (0.001, 0.0, 0.003), (0.004, 0.0, 0.009), (0.01, 0.0, 0.03)),
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FOUND), **changes}


def test_the_sentences_say_where_the_run_stands_and_what_more_would_bring() -> None:
    assert sentences(FOUND) == (
        "A head on the frozen features of mobilenetv2_100 names 0.894 [0.874, 0.915] of new "
        "pictures rightly when it has learned from 700 pictures, as here (judged on 850 "
        "pictures that it had not seen).",
        "The curve expects a gain of +0.002 [+0.001, +0.002] for 50 more, +0.006 [+0.002, "
        "+0.008] for 200 more and +0.017 [+0.005, +0.026] for 1,000 more (n = 850), in the "
        "proportions in which classes stand now.",
        "'tulips' would gain: recall +0.011 [+0.002, +0.014] with 200 more pictures of all "
        "classes (n = 172). That it would gain most is not shown: 'roses' is not told apart from "
        "it.",
    )


def test_the_class_that_would_gain_most_is_named_where_it_is_told_apart_from_all_others() -> None:
    """The first of two that differ by chance was named as if it were known to be the first."""
    best = class_of("tulips", 172, None, (0.05, 0.04, 0.06), None)
    close = class_of("roses", 170, None, (0.03, 0.02, 0.04), None)
    far = class_of("daisies", 170, None, (0.0, 0.0, 0.001), None)
    few = class_of("lynx", 8, None, (0.05, 0.0, 0.3), None, enough=False)
    told = sentences(changed(classes=[few, far, best, close]))
    assert told[2] == (
        "'tulips' would gain most, of 2 classes whose gain is shown: recall +0.050 [+0.040, "
        "+0.060] with 200 more pictures of all classes (n = 172)."
    )
    close["gains"] = gains(None, (0.04, 0.03, 0.05), None)
    also = class_of("poppies", 170, None, (0.045, 0.0, 0.09), None)
    told = sentences(changed(classes=[far, best, close, also]))
    assert told[2].endswith(
        "(n = 172). That it would gain most is not shown: 'poppies' and 'roses' are not told apart "
        "from it."
    )


def test_a_terminal_is_told_where_the_run_stands_and_what_more_would_bring() -> None:
    assert view(FOUND, ALBUM)["sentence"] == " ".join(sentences(FOUND)[:2])


def test_what_is_too_far_off_is_refused_in_words() -> None:
    found = changed(
        num_train=200,
        num_measured=190,
        gains=gains((0.002, 0.001, 0.002), (0.006, 0.002, 0.008), None),
        classes=[],
    )
    assert sentences(found)[2] == (
        "Of 1,000 more nothing is said: with 1,000 there would be 6.3 times the 190 pictures that "
        "the largest head learned from, and beyond 4 times the curve was never held against what "
        "came true."
    )


def test_a_curve_that_has_levelled_off_is_said_to_have() -> None:
    flat = gains((0.0, 0.0, 0.0), (0.0, 0.0, 0.001), (0.001, 0.0, 0.0015))
    assert sentences(changed(gains=flat))[1].endswith(
        ": it has levelled off, and more of the same pictures would hardly help."
    )


def test_a_gain_that_may_be_none_is_called_not_clear() -> None:
    wide = gains((0.0, 0.0, 0.01), (0.005, 0.0, 0.03), (0.01, 0.0, 0.05))
    assert sentences(changed(gains=wide))[1].endswith(
        "; that they bring more than 0.001 is not shown."
    )


def test_classes_of_few_pictures_are_named_and_nothing_is_promised_of_them() -> None:
    few = class_of("lynx", 8, (0.0, 0.0, 0.1), (0.2, 0.05, 0.3), None, enough=False)
    words = sentences(changed(classes=[few, *FOUND["classes"]]))
    assert words[-2].startswith("'tulips' would gain: ")
    assert words[-1] == "Too few pictures to tell what more would bring: 'lynx' (n = 8)."
    unclear = sentences(changed(classes=[few, FOUND["classes"][1]]))
    assert unclear[-2] == "Of no class is it shown that it would gain more than 0.001."


def test_an_error_is_said_to_fall() -> None:
    found = changed(score_name="mae", classes=[], now=estimate(3.2, 2.9, 3.5))
    words = sentences(found)
    assert "is off by 3.200 [2.900, 3.500] on average when it has learned from" in words[0]
    assert words[1].startswith("The curve expects a fall of the error of +0.002")
    assert words[1].endswith("for 1,000 more (n = 850).")
    assert "lower is better" in curve_chart(found)


def test_whether_an_error_has_levelled_off_does_not_depend_on_its_unit() -> None:
    """In metres, with an error of 2 mm, half of it is much; 1 mm was once called nothing."""
    halved = gains((0.0005, 0.0004, 0.0006), (0.0008, 0.0007, 0.0009), (0.001, 0.0009, 0.0011))
    now = estimate(0.002, 0.0018, 0.0022)
    found = changed(score_name="mae", classes=[], now=now, gains=halved)
    assert "levelled off" not in sentences(found)[1]


def test_the_drawing_has_a_point_for_each_size_a_band_and_the_run() -> None:
    chart = curve_chart(FOUND)
    assert chart.count("<circle") == 3
    assert chart.count('class="band"') == 1
    assert "now: 700" in chart
    assert "measured up to 680, continued to 2,720" in chart
    assert "NaN" not in chart


@pytest.fixture
def page(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def of(found: dict[str, Any]) -> str:
        run = make_run(tmp_path / "run", Plan())
        trust = {"format_version": 1, "studies": {"learning_curve": found}, "left_out": {}}
        (run / "trust.json").write_text(json.dumps(trust))
        return render(collect(run, picture=noise_picture))

    return of


def test_the_page_shows_it_under_what_would_help(page: Callable[..., str]) -> None:
    html = page(FOUND)
    at = html.index("How many more pictures?")
    assert html.index('id="help"') < at < html.index('id="made"')
    assert "1,000 more in all" in html
    table = html[at : html.index("</table>", at)]
    assert re.findall(r"<td>([a-z ]+)</td></tr>", table) == ["shown", "not shown"]


def test_a_class_with_a_hostile_name_is_only_text(page: Callable[..., str]) -> None:
    name = "<script>alert(1)</script>\u202e"
    hostile = [{**own, "name": name} for own in copy.deepcopy(FOUND["classes"])]
    html = page(changed(classes=hostile))
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_many_classes_are_folded_away_and_cut() -> None:
    many = [class_of(f"class {k}", 40, None, None, None) for k in range(100)]
    assert len(view(changed(classes=many), ALBUM)["rows"]) == 30
    assert np.isfinite(view(FOUND, ALBUM)["rows"][0]["gains"][0].value)


def test_of_more_pictures_than_a_few_times_the_measured_nothing_is_told() -> None:
    far = changed(num_train=42_500, num_told=680, gains=gains(None, None, None))
    assert sentences(far)[0] == (
        "A head on the frozen features of mobilenetv2_100 names 0.894 [0.874, 0.915] of new "
        "pictures rightly when it has learned from 680 pictures, the most that was measured; of "
        "the 42,500 here nothing is said (judged on 850 pictures that it had not seen)."
    )
    assert "now:" not in str(curve_chart(far))
    assert "now: 700" in str(curve_chart(FOUND))


def test_of_many_classes_those_with_the_lowest_scores_were_asked_about() -> None:
    best = class_of("tulips", 172, None, (0.05, 0.04, 0.06), None)
    close = class_of("roses", 170, None, (0.03, 0.02, 0.04), None)
    said = sentences(changed(classes=[best, close], num_classes=100))[2]
    assert "of 2 classes whose gain is shown among the 2 with the lowest scores: recall" in said
    assert "lowest" not in sentences(changed(classes=[best, close], num_classes=2))[2]
