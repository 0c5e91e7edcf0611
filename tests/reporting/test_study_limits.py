"""What the page says of scores and promises: whole sentences, drawings, hostile names."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting import study_calibration, study_limits
from saccade.reporting.axes import Axis, Plot
from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album

ALBUM = Album(lambda _path: None)
Y = Axis(title="", low=0.8, high=1)


def estimate(value: float, low: float, high: float, n: int = 200) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "method": "wilson"}


def state(error: dict[str, Any]) -> dict[str, Any]:
    return {
        "error": error,
        "log_loss": estimate(0.36, 0.28, 0.47),
        "bins": [
            {"low": 0.4, "high": 0.7, "score": 0.55, "right": estimate(0.5, 0.4, 0.6, 100)},
            {"low": 0.7, "high": 1.0, "score": 0.95, "right": estimate(0.97, 0.92, 0.99, 100)},
        ],
    }


CALIBRATION: dict[str, Any] = {
    "part": "test",
    "n": 200,
    "kind": "temperature",
    "temperature": 1.31,
    "why": "one temperature, fitted on 120 held-out pictures",
    "fitted_on": "validation",
    "num_fitted": 120,
    "of_labels": False,
    "before": state(estimate(0.081, 0.04, 0.11)),
    "after": state(estimate(0.012, 0.0, 0.046)),
}
CANNOT = "an accuracy of 0.99 cannot be promised with n = 120 held-out pictures"
LIMITS: dict[str, Any] = {
    "part": "test",
    "n": 200,
    "fitted_on": "validation",
    "num_fitted": 120,
    "is_value": False,
    "of_labels": False,
    "groups": False,
    "coverages": [
        {"promised": 0.8, "measured": estimate(0.855, 0.8, 0.897), "size": 1.0, "single": 1.0},
        {"promised": 0.95, "measured": estimate(0.935, 0.892, 0.962), "size": 1.25, "single": 0.78},
        {"promised": 0.99, "why": "a coverage of 0.99 cannot be promised with n = 50"},
    ],
    "answers": {
        "best": 0.95,
        "promises": [
            {
                "accuracy": 0.95,
                "threshold": 0.907,
                "share_fitted": 0.625,
                "right_fitted": 75,
                "answered_fitted": 75,
                "num_fitted": 120,
                "measured": estimate(0.953, 0.901, 0.978, 127),
                "share": estimate(0.635, 0.566, 0.699),
            },
            {"accuracy": 0.99, "why": CANNOT},
        ],
        "curve": [
            [0.005, 1.0, 0.207, 1.0, 1],
            [0.5, 0.99, 0.946, 0.998, 100],
            [1.0, 0.855, 0.8, 0.897, 200],
        ],
        "area": 0.035,
        "error": 0.145,
    },
    "unknown": {
        "rate": 0.05,
        "threshold": 15.9,
        "num_fitted": 120,
        "num_reference": 680,
        "rejected": estimate(0.06, 0.035, 0.102),
        "pictures": [{"path": "<b>evil</b>.png", "times": 1.4}],
    },
}


MODEST = {"score": 0.803, "right": 0.879, "p": 0.011}


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., str]:
    def of(**studies: dict[str, Any]) -> str:
        run = make_run(tmp_path / "run", Plan())
        trust = {"format_version": 1, "studies": studies, "left_out": {}, "seconds": {}}
        (run / "trust.json").write_text(json.dumps(trust))
        return render(collect(run, picture=noise_picture))

    return of


def changed(found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(found), **changes}


def test_the_sentences_say_how_far_scores_are_off_before_and_after() -> None:
    assert study_calibration.sentences(CALIBRATION) == (
        "Scores are off by 0.012 [0.000, 0.046] on average, and by 0.081 [0.040, 0.110] before "
        "calibration (n = 200).",
        "That is no more than chance would bring: of answers with a score of 0.8, four of five "
        "are right, as far as 200 pictures can show.",
        "They are calibrated by one temperature of 1.31, fitted on 120 pictures of the validation "
        "part: the network was too sure. Which class is named is the same as before.",
        "The two intervals overlap: that it helped on new pictures is not shown.",
    )
    apart = changed(CALIBRATION, before=state(estimate(0.081, 0.05, 0.11)))
    assert study_calibration.sentences(apart)[-1].endswith("is the same as before.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperature": 0.7}, "the network was too unsure"),
        ({"temperature": 1.01}, "is 1.01: nothing to mend."),
        ({"kind": "isotonic"}, "by a rising curve on top of a temperature"),
        (
            {"kind": "none", "why": "19 held-out pictures are too few"},
            "they are as the network gives them: 19 held-out pictures are too few.",
        ),
        ({"after": state(estimate(0.08, 0.05, 0.1))}, "That is more than chance"),
        (
            {"after": state(estimate(0.02, 0, 0.1)) | {"on_the_whole": MODEST}},
            "On the whole they are too modest: 0.803 on average, and 0.879 of the answers are "
            "right (p = 0.011).",
        ),
        (
            {"after": state(estimate(0.02, 0, 0.1)) | {"on_the_whole": MODEST | {"p": 0.2}}},
            "That is no more than chance would bring",
        ),
        ({"after": state(estimate(0.09, 0.05, 0.1))}, "it brought scores no nearer to what they"),
    ],
)
def test_each_kind_of_calibration_has_its_words(changes: dict[str, Any], said: str) -> None:
    assert said in " ".join(study_calibration.sentences(changed(CALIBRATION, **changes)))


def test_without_calibration_there_is_one_diagram_and_one_row() -> None:
    found = study_calibration.view(changed(CALIBRATION, kind="none"), ALBUM)
    assert [name for name, _ in found["charts"]] == ["as the network gives them"]
    assert len(found["rows"]) == 1
    both = study_calibration.view(CALIBRATION, ALBUM)
    assert [name for name, _ in both["charts"]] == ["before calibration", "calibrated"]


def test_the_diagram_has_a_point_a_bin_with_its_numbers() -> None:
    drawn = study_calibration.diagram(CALIBRATION["after"], name="calibrated")
    titles = re.findall(r"<title>([^<]*)</title>", drawn)
    assert titles == [
        "score 0.550 on average, right 0.500 (0.400 to 0.600, n = 100)",
        "score 0.950 on average, right 0.970 (0.920 to 0.990, n = 100)",
    ]
    assert drawn.count('class="point"') == 2


def test_the_limits_are_told_in_sentences() -> None:
    found = study_limits.view(LIMITS, ALBUM)
    assert found["answers"] == (
        "With --min-accuracy 0.95 answers below a score of 0.907 are marked as unsure. Of the "
        "test part 0.635 [0.566, 0.699] is then answered, and of those answers "
        "0.953 [0.901, 0.978] are right (n = 127)."
    )
    assert found["sets"] == (
        "With --coverage 0.95 an answer is a set of 1.25 classes on average, and at least 95 % of "
        "the sets should hold the true class; of 200 test pictures 0.935 [0.892, 0.962] did."
    )
    assert found["unknown"] == (
        "Of pictures like these 5 % at most, on average, should be marked as unknown (something "
        "else); of 200 test pictures 12 were (0.060 [0.035, 0.102]). So marked is what lies "
        "further from 680 training pictures, in the space of what the last layer is given, than a "
        "limit that 120 pictures of the validation part set."
    )


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"answers": changed(LIMITS["answers"], best=0.0)}, "answers", "No accuracy can be"),
        (
            {"answers": changed(LIMITS["answers"], best=0.98)},
            "answers",
            "The highest accuracy that 120 held-out pictures can promise is 0.98 (saccade predict "
            "--min-accuracy 0.98). With --min-accuracy 0.95 answers below a score of 0.907 are",
        ),
        (
            {"answers": changed(LIMITS["answers"], promises=[{"accuracy": 0.9, "why": CANNOT}])},
            "answers",
            "can promise is 0.95 (saccade predict --min-accuracy 0.95); what that comes to was not",
        ),
        ({"of_labels": True}, "answers", "answers whose labels are all right by a chance below"),
        ({"is_value": True}, "note", "no stretch of values alone is promised"),
        ({"unknown": {"why": "18 are too few"}}, "unknown", "are not told apart: 18 are too few."),
        ({"coverages": [{"promised": 0.95, "why": "too few"}]}, "sets", "Too few."),
        ({"of_labels": True}, "sets", "should hold all true labels"),
        ({"groups": True}, "note", "Where pictures belong together"),
    ],
)
def test_what_cannot_be_said_is_told_instead(changes: dict[str, Any], key: str, said: str) -> None:
    assert said in study_limits.view(changed(LIMITS, **changes), ALBUM)[key]


def test_a_promise_that_was_not_kept_is_said_to_be_broken() -> None:
    """Beyond chance only: where the whole interval lies on the wrong side."""
    broken = "That is not what was promised, beyond chance: the two parts may differ."
    kept = study_limits.view(LIMITS, ALBUM)
    assert not any(broken in kept[key] for key in ("sets", "answers", "unknown"))
    promise = {**LIMITS["answers"]["promises"][0], "measured": estimate(0.8, 0.7, 0.9, 127)}
    found = study_limits.view(
        changed(
            LIMITS,
            unknown={**LIMITS["unknown"], "rejected": estimate(0.12, 0.082, 0.172)},
            coverages=[{"promised": 0.95, "measured": estimate(0.8, 0.75, 0.85), "size": 1.0,
                        "single": 1.0}],
            answers=changed(LIMITS["answers"], promises=[promise]),
        ),
        ALBUM,
    )  # fmt: skip
    assert all(found[key].endswith(broken) for key in ("sets", "answers", "unknown"))


def test_that_the_limit_was_set_by_few_pictures_counts_before_a_promise_is_called_broken() -> None:
    """52 of 60 where 60 set the limit of 0.95: of 6,000 it would be beyond chance."""
    few = {"promised": 0.95, "measured": estimate(52 / 60, 0.76, 0.932, 60), "size": 1.0,
           "single": 1.0}  # fmt: skip
    said = study_limits.view(changed(LIMITS, num_fitted=60, coverages=[few]), ALBUM)["sets"]
    assert "beyond chance" not in said
    many = changed(LIMITS, num_fitted=6_000, coverages=[few])
    assert "beyond chance" in study_limits.view(many, ALBUM)["sets"]


def test_values_have_a_width_and_no_threshold(page: Callable[..., str]) -> None:
    coverages = [
        {"promised": 0.95, "measured": estimate(0.94, 0.9, 0.97), "size": 4.25, "single": None}
    ]
    values = changed(LIMITS, is_value=True, answers=None, coverages=coverages)
    found = study_limits.view(values, ALBUM)
    assert found["sets"] == (
        "A stretch of 4.25 around the answer should hold 95 % of the true values; it held "
        "0.940 [0.900, 0.970] of 200 test pictures."
    )
    assert (found["answers"], found["chart"], found["promises"]) == ("", None, [])
    html = page(limits=values)
    assert "width of the stretch" in html
    assert "Accuracy against the share" not in html


def test_the_page_shows_both_under_how_good_it_is(page: Callable[..., str]) -> None:
    html = page(calibration=CALIBRATION, limits=LIMITS)
    order = [
        html.index(text)
        for text in (
            'id="good"',
            "Do scores mean what they say?",
            "When should it not be",
            'id="wrong"',
        )
    ]
    assert order == sorted(order)
    assert CANNOT in html
    assert "&lt;b&gt;evil&lt;/b&gt;" in html
    assert "<b>evil" not in html


def test_the_curve_is_read_out_in_its_place() -> None:
    drawn = study_limits.share_chart(LIMITS)
    assert (
        "Accuracy among the answered pictures against the share answered, the surest first; "
        "0.855 [0.800, 0.897] where all are answered (n = 200)"
    ) in drawn
    assert "0.95 promised" in drawn


def test_the_curve_has_its_band_and_says_n_and_of_what_it_is_one() -> None:
    """The band's corners, up and back, are the ends of the intervals by the axis 0.9 to 1."""
    narrow = changed(LIMITS["answers"], curve=[[0.5, 0.99, 0.95, 1.0, 100], [1, 0.95, 0.9, 1, 200]])
    drawn = study_limits.share_chart(changed(LIMITS, answers=narrow))
    (path,) = re.findall(r'<path d="M([^"]*)z" class="band"/>', drawn)
    corners = [tuple(map(float, own.split())) for own in path.split("L")]
    plot = Plot(x=Axis(title="", low=0, high=1), y=Axis(title="", low=0.9, high=1))
    expected = [(0.5, 1.0), (1, 1.0), (1, 0.9), (0.5, 0.95)]
    assert corners == [
        (pytest.approx(plot.across(x), abs=0.06), pytest.approx(plot.up(y), abs=0.06))
        for x, y in expected
    ]
    assert study_limits.view(LIMITS, ALBUM)["chart_note"] == (
        "n = 200 test pictures, the surest answered first. The band is 95 % (Wilson), of answers "
        "at least as sure, for each point by itself: it does not hold for the whole curve at once."
    )


def test_what_few_answers_cannot_tell_does_not_flatten_the_curve() -> None:
    """The band of one answer reaches down to 0.2; it is cut off where the axis of the others is."""
    drawn = study_limits.share_chart(LIMITS)
    assert re.findall(r'text-anchor="end">([0-9.]+)<', drawn)[0] == "0.8"
    (path,) = re.findall(r'<path d="M([^"]*)z" class="band"/>', drawn)
    lowest = max(float(own.split()[1]) for own in path.split("L"))
    assert lowest == pytest.approx(Plot(x=Axis(title="", low=0, high=1), y=Y).bottom, abs=0.06)


def test_the_curve_of_an_earlier_run_is_shown_and_said_to_have_no_band(
    page: Callable[..., str],
) -> None:
    points = [own[:2] for own in LIMITS["answers"]["curve"]]
    old = changed(LIMITS, answers=changed(LIMITS["answers"], curve=points))
    drawn = study_limits.share_chart(old)
    assert 'class="band"' not in drawn
    assert "0.855 where all are answered (n = 200)" in drawn
    assert (
        "n = 200 test pictures, the surest answered first; an earlier version of saccade, which "
        "made this run, gave the curve no interval."
    ) in page(limits=old)


def test_a_threshold_that_no_test_picture_passes_is_said_to_be_unmeasured() -> None:
    """The page was once not written at all then."""
    nothing = {"value": None, "low": None, "high": None, "n": 0, "method": "undefined: no pictures"}
    promise = {**LIMITS["answers"]["promises"][0], "measured": nothing}
    found = study_limits.view(
        changed(LIMITS, answers=changed(LIMITS["answers"], promises=[promise])), ALBUM
    )
    assert found["answers"].endswith(
        "are marked as unsure: all of the test part, so that nothing was measured."
    )
