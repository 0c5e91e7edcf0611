"""What the page says of disturbed pictures: whole sentences, the drawings, and hostile names."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting import ladders
from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.insight.thumbnails import thumbnail
from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.reporting.study_robustness import curve, sentences, view
from saccade.training.recipe_file import AUGMENTATIONS

ALBUM = Album(lambda _path: None)
ALL_OFF = "".join(f"{name} = 0.0\n" for name in AUGMENTATIONS)
JPEG = thumbnail(np.full((16, 16, 3), 90, np.uint8))


def estimate(value: float, half: float, n: int = 50) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, "method": "wilson"}


def point(strength: float, score: float, half: float = 0.05) -> dict[str, Any]:
    return {
        "strength": strength,
        "final": {
            "score": estimate(score, 0.1),
            "change": estimate(score - 0.9, half),
            "changed": estimate(round(0.95 - score, 4), 0.04),
        },
    }


FOUND: dict[str, Any] = {
    "part": "test",
    "n": 50,
    "num_part": 200,
    "score_name": "accuracy",
    "convolutional": True,
    "size_px": 224,
    "images_per_second": 151.2,
    "plain": {"final": estimate(0.9, 0.06)},
    "disturbances": [
        {
            "name": "shift", "unit": "side", "neutral": 0.0,
            "points": [point(1 / 32, 0.9), point(1 / 8, 0.88)],
        },
        {
            "name": "noise", "unit": "range", "neutral": 0.0,
            "points": [point(0.04, 0.8), point(0.1, 0.5)],
        },
        {
            "name": "brightness", "unit": "factor", "neutral": 1.0,
            "points": [point(0.5, 0.82), point(1.5, 0.86)],
        },
        {"name": "jpeg", "unit": "quality", "neutral": 100.0, "points": [point(10.0, 0.89)]},
        {"name": "hflip", "unit": "", "neutral": 0.0, "points": [point(1.0, 0.9)]},
    ],
    "num_views": 0,
    "left_out": [],
    "shown": {
        "path": "test/a b.jpg",
        "plain": JPEG,
        "pictures": [{"name": "noise", "strength": 0.1, "jpeg": JPEG}],
    },
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FOUND), **changes}


def test_the_sentences_say_what_hurts_most_what_does_not_and_what_a_shift_does() -> None:
    assert sentences(FOUND) == (
        "50 of 200 test pictures were disturbed in 5 ways and shown to the network once more; as "
        "they are, their accuracy is 0.900 [0.840, 0.960]. Each way is judged at one strength, set "
        "beforehand; the table has the others, without a verdict. What makes it worse beyond "
        "chance (n = 50), the worst first: noise 10 % of the range (−0.400 [−0.450, −0.350]) and "
        "brightness ×0.5 (−0.080 [−0.130, −0.030]). Not shown to do harm, with p corrected for 5 "
        "disturbances: shift 12 % of the side, JPEG quality 10 and mirrored left to right; with "
        "50 pictures a change of as much as 0.070 could go unseen.",
        "Moved by 12 % of the side (28 px), the network gives the same answer to 93.0 % [89.0 %, "
        "97.0 %] of the pictures (n = 50). A convolution looks for the same thing everywhere, and "
        "pooling over places forgets where it was: that is where such invariance comes from, as "
        "far as it goes.",
    )


def test_a_fully_connected_network_is_not_said_to_convolve() -> None:
    assert "nothing in it makes its answers stay" in sentences(changed(convolutional=False))[1]


def test_where_nothing_hurts_it_says_so_and_does_not_promise() -> None:
    calm = changed(disturbances=[FOUND["disturbances"][0]])
    assert sentences(calm)[0].endswith(
        " Not shown to do harm, with p corrected for 1 disturbance: shift 12 % of the side; with "
        "50 pictures a change of as much as 0.070 could go unseen."
    )


def test_harm_is_what_remains_beyond_chance_once_all_are_counted() -> None:
    found = changed()
    noise, light = found["disturbances"][1], found["disturbances"][2]
    noise["points"][1]["final"] |= {"p": 1e-6, "p_corrected": 1e-5}
    light["points"][0]["final"] |= {"p": 0.02, "p_corrected": 0.1}  # its interval is below 0
    said = sentences(found)[0]
    assert "the worst first: noise 10 % of the range (−0.400" in said
    assert (
        "Perhaps worse (n = 50), but not beyond chance once all are counted: brightness ×0.5 "
        "(−0.080" in said
    )
    assert "disturbances: shift 12 % of the side, JPEG quality 10 and mirrored left" in said


def test_of_a_network_that_is_built_of_other_things_no_reason_is_given() -> None:
    said = sentences(changed(convolutional=None))[1]
    assert said.endswith("of the pictures (n = 50).")
    assert "convolution" not in said


def test_an_error_that_grows_is_harm() -> None:
    one = point(0.1, 0.5)
    one["final"] = {"score": estimate(3.0, 0.4), "change": estimate(1.2, 0.3), "changed": None}
    noise = {"name": "noise", "unit": "range", "neutral": 0.0, "points": [one]}
    found = changed(score_name="mae", disturbances=[noise], plain={"final": estimate(1.8, 0.2)})
    assert len(sentences(found)) == 1
    assert (
        "the worst first: noise 10 % of the range (+1.200 [+0.900, +1.500])" in sentences(found)[0]
    )
    assert "mean absolute error" in curve(noise, found, top=3.4)


def test_what_there_was_no_time_for_is_named() -> None:
    note = view(changed(left_out=["the milder strengths", "blur", "jpeg"]), ALBUM)["note"]
    assert note.endswith(
        "At 151 pictures a second there was no time for the milder strengths, blur and JPEG."
    )


def test_a_drawing_has_a_point_for_each_strength_and_a_hollow_one_for_none() -> None:
    drawn = curve(FOUND["disturbances"][2], FOUND, top=1.0)
    assert drawn.count('class="point"') == 2
    assert drawn.count('class="hollow"') == 1
    assert re.findall(r">(×[0-9.]+|as is)<", drawn) == ["×0.5", "as is", "×1.5"]
    assert "NaN" not in drawn


def test_the_head_with_augmentation_stands_beside_the_one_without() -> None:
    found = changed(gain=estimate(0.04, 0.05), num_views=3)
    found["plain"] |= {"without": estimate(0.86, 0.08), "with": estimate(0.9, 0.08)}
    found["disturbances"][1]["points"][1] |= {
        "without": {"score": estimate(0.3, 0.1)},
        "with": {"score": estimate(0.5, 0.1)},
        "gain": estimate(0.2, 0.1),
    }
    rows = view(found, ALBUM)["compared"]
    assert [(row["name"], row["gain"]) for row in rows] == [
        ("as they are", "+0.040 [−0.010, +0.090]"),
        ("noise 10 % of the range", "+0.200 [+0.100, +0.300]"),
    ]
    assert view(FOUND, ALBUM)["compared"] == []


@pytest.fixture
def page(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def of(found: dict[str, Any]) -> str:
        run = make_run(tmp_path / "run", Plan())
        trust = {"format_version": 1, "studies": {"robustness": found}, "left_out": {}}
        (run / "trust.json").write_text(json.dumps(trust))
        return render(collect(run, picture=noise_picture))

    return of


def test_the_page_shows_it_under_how_good(page: Callable[..., str]) -> None:
    html = page(FOUND)
    at = html.index("stand up to disturbed pictures?")
    assert html.index('id="good"') < at < html.index('id="wrong"')
    own = html[at : html.index("</section>", at)]
    assert own.count("<svg") == 5
    assert own.count("data:image/jpeg") == 2
    assert own.count('<tr><th scope="row"') == 8


def test_a_file_with_a_hostile_name_is_only_text(page: Callable[..., str]) -> None:
    hostile = {**FOUND["shown"], "path": "<script>alert(1)</script>\u202e.jpg"}
    html = page(changed(shown=hostile))
    assert "<script" not in html
    assert "\u202e" not in html


def test_where_there_is_no_interval_nothing_is_called_harmless() -> None:
    one = point(0.1, 0.5)
    bare = {"low": None, "high": None, "n": 40, "method": "no interval: one group"}
    one["final"] = {
        "score": {"value": 9.0, **bare},
        "change": {"value": 6.0, **bare},
        "changed": None,
    }
    blur = {"name": "noise", "unit": "range", "neutral": 0.0, "points": [one]}
    plain = {"final": {"value": 3.0, **bare}}
    found = changed(score_name="mae", disturbances=[blur], plain=plain)
    (said,) = sentences(found)
    assert "Not shown to do harm" not in said
    assert "Whether it is chance cannot be told of noise 10 % of the range (+6.000" in said
    assert 'class="range"' not in curve(blur, found, top=9.0)


NO_OTHER = (
    "What augmentation brings is not measured: the network learned from augmented pictures, and "
    "there is none like it that learned without them."
)
NOTHING = (
    "What augmentation brings is not measured: nothing that was kept learned from augmented "
    "pictures."
)
NO_VIEWS = "What augmentation brings is not measured: no augmented views were made."


@pytest.mark.parametrize(
    ("events", "recipe", "said"),
    [
        (ladders.epochs(0, 2, rung=None), "", NO_OTHER),  # from scratch
        (ladders.epochs(0, 2, rung=None), "augment = false", NOTHING),
        (ladders.epochs(0, 2, rung=None), ALL_OFF, NOTHING),
        ([ladders.head(), *ladders.epochs(0, 2, rung=None)], "", NO_OTHER),  # --unfreeze all
        ([ladders.head(), *ladders.epochs(0, 2, rung=None, best=False)], "", NOTHING),
        (ladders.ladder("+", views=1, cached=False), "", NO_OTHER),
        (ladders.ladder("-", views=1, cached=False), "", NOTHING),
        ([ladders.head()], "", NOTHING),
        (ladders.ladder("+", views=1, crop=10), "", NO_VIEWS),
    ],
)
def test_why_augmentation_is_not_compared_is_told_by_what_the_run_did(
    events: list[dict[str, Any]], recipe: str, said: str, tmp_path: Path
) -> None:
    """Beside the gallery of an augmentation that it learned from stood that none was made."""
    run = make_run(tmp_path / "run", Plan())
    (run / "history.jsonl").write_text("".join(json.dumps(own) + "\n" for own in events))
    (run / "recipe.toml").write_text(recipe)

    def told(**changes: Any) -> list[str]:
        trust = {"format_version": 1, "studies": {"robustness": changed(**changes)}, "left_out": {}}
        (run / "trust.json").write_text(json.dumps(trust))
        html = render(collect(run, picture=noise_picture))
        return [own for own in (NO_OTHER, NOTHING, NO_VIEWS) if own in html]

    assert told(has_views=False) == [said]
    assert told(has_views=True) == told() == []  # compared, or an earlier run, which does not tell
