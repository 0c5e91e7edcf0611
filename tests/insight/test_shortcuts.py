"""Trivial properties that tell a class are named; where there are none, nothing is claimed."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from tests.insight.planted import (
    bordered,
    brightened,
    catalog_of,
    evidence_of,
    marked,
    photographs,
)

from saccade.data.catalog import Catalog
from saccade.data.sealed import Sealed
from saccade.data.task import Task
from saccade.evaluation.intervals import Grouping
from saccade.insight import separation, shortcuts
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.separation import areas_of
from saccade.insight.shortcut_words import findings, sentence, verdict
from saccade.insight.shortcuts import study
from saccade.insight.trivial import design, ridge_answers

TASK = Task(kind="multiclass", classes=("birch", "elm", "oak", "rowan"))
TRUTH = np.arange(400) % 4
OAK = TRUTH == 2


@functools.cache
def pictures() -> np.ndarray:
    return photographs(400, seed=0, side=64)


def planted(change: Any) -> np.ndarray:
    pixels = pictures().copy()
    pixels[OAK] = change(pixels[OAK])
    return pixels


def of(pixels: np.ndarray, **changes: Any) -> dict[str, Any]:
    return study(evidence_of(pixels, TRUTH, task=TASK, **changes), {})


def test_where_nothing_is_planted_nothing_is_found() -> None:
    found = of(pictures())
    assert found["verdict"] == "says nothing"
    assert found["findings"] == []
    assert [one["severity"] for one in found["clues"]] == [""] * len(found["clues"])
    assert min(one["p_corrected"] for one in found["families"]) > 0.05
    assert found["n"] == 100


def test_a_coloured_border_in_one_class_is_named() -> None:
    found = of(planted(lambda own: bordered(own, px=4, colour=(200, 30, 30))))
    (finding,) = [own for own in found["findings"] if own["kind"] == "shortcut-property"]
    assert finding["severity"] == "severe"
    assert "border alone nearly tells 'oak' from the others" in finding["sentence"]
    assert all(path.startswith("oak/") for path in finding["paths"])
    assert len(finding["paths"]) == 6
    assert found["families"][0]["name"] == "border"
    assert found["families"][0]["p_corrected"] < 0.001


def test_a_small_text_in_a_corner_of_one_class_is_named() -> None:
    found = of(planted(lambda own: marked(own, text="by A", opacity=0.6)))
    (finding,) = found["findings"]
    assert (finding["kind"], finding["severity"]) == ("shortcut-property", "severe")
    assert finding["sentence"].startswith("The bottom right corner alone nearly tells 'oak'")
    # negative control: the corners are not looked at
    evidence = evidence_of(
        planted(lambda own: marked(own, text="by A", opacity=0.6)), TRUTH, task=TASK
    )
    without = dataclasses.replace(evidence.looks, corners_NCHW=None)
    assert study(dataclasses.replace(evidence, looks=without), {})["findings"] == []


def test_another_brightness_in_one_class_is_named() -> None:
    found = of(planted(lambda own: brightened(own, by=60)))
    best = found["clues"][0]
    assert (best["class"], best["family"]) == ("oak", "brightness and colour")
    assert best["single"] == "brightness"
    assert best["low_corrected"] > 0.7
    darker = of(planted(lambda own: brightened(own, by=-110)))
    assert {own["severity"] for own in darker["findings"]} == {"severe"}
    assert "'oak'" in darker["findings"][-1]["sentence"]


def test_another_size_or_file_kind_in_one_class_is_named_without_looks() -> None:
    names = [TASK.classes[own] for own in TRUTH]
    sizes = np.where(OAK, 640, 480).astype(np.int32)
    kinds = tuple("PNG" if own else "JPEG" for own in OAK)
    num_bytes = np.where(OAK, 8000, 9000) + np.arange(400) % 50
    for column, words, asked in (
        ({"widths_px": sizes}, "width", "Size, file kind and bytes of the file"),
        ({"formats": kinds}, "file kind JPEG", "Size and file kind"),
        ({"num_bytes": num_bytes}, "bytes of the file", "Bytes of the file"),
    ):
        catalog = catalog_of(names, **column)
        found = without_looks(catalog)
        (finding,) = [own for own in found["findings"] if own["kind"] == "shortcut-property"]
        assert (finding["severity"], "'oak'" in finding["sentence"]) == ("severe", True)
        assert words in finding["sentence"]
        assert found["sentence"].startswith(f"{asked} alone name 0.")


@pytest.mark.parametrize(("column", "severe"), [("num_bytes", False), ("widths_px", True)])
def test_bytes_follow_from_what_is_shown_so_they_must_tell_more_than_sizes_do(
    column: str, severe: bool
) -> None:
    """The same numbers as bytes and, the negative control, as widths; their area is about 0.94."""
    numbers = np.random.default_rng(0).normal(9000, 300, len(OAK)) + 680 * OAK
    names = [TASK.classes[own] for own in TRUTH]
    found = without_looks(catalog_of(names, **{column: numbers.astype(np.int32)}))
    assert max(own["auc"]["value"] for own in found["clues"]) > 0.9
    said = {own["severity"] for own in found["findings"] if own["kind"] == "shortcut-property"}
    assert ("severe" in said) == severe


def without_looks(catalog: Catalog) -> dict[str, Any]:
    evidence = evidence_of(pictures(), TRUTH, task=TASK, catalog=catalog)
    nothing = dataclasses.replace(
        evidence.looks, thumbs_NHW=evidence.looks.thumbs_NHW[:0], corners_NCHW=None
    )
    return study(dataclasses.replace(evidence, looks=nothing), {})


def test_properties_that_tell_every_class_nearly_win() -> None:
    names = [TASK.classes[own] for own in TRUTH]
    catalog = catalog_of(names, widths_px=(400 + 100 * TRUTH).astype(np.int32))
    found = without_looks(catalog)
    assert found["verdict"] == "nearly wins"
    assert found["findings"][0]["kind"] == "shortcut"
    assert found["findings"][0]["severity"] == "severe"
    assert found["share"]["value"] > 1
    # a straight line through four classes cannot tell the two in the middle
    best = found["families"][0]
    assert best["share"]["value"] == pytest.approx(best["gain"]["value"] / found["gain"]["value"])
    assert best["share"]["low"] < 0.5
    assert "Most of what they gain" not in found["findings"][0]["sentence"]
    assert found["trivial"]["value"] == 1


def test_a_corner_that_tells_all_classes_is_taken_for_what_they_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = pictures().copy()
    for place in range(4):  # as digits reach into the corners: each class in its own way
        corner = pixels[place == TRUTH, -16:, -16:]
        corner[:, 4 * place : 4 * place + 3] = 255
        pixels[place == TRUTH, -16:, -16:] = corner
    found = of(pixels)
    assert found["clues"][0]["auc"]["value"] > separation.NEARLY
    assert found["findings"] == []
    # negative control: without asking whether the other classes are told as well
    monkeypatch.setattr(separation, "ALIKE", 2)
    assert "corner" in of(pixels)["findings"][0]["sentence"]


def test_before_learning_the_validation_part_judges_and_no_test_answer_is_read() -> None:
    evidence = evidence_of(pictures(), TRUTH, task=TASK, accuracy=None)
    sealed = Sealed(TRUTH, rows=evidence.split.rows("test"))
    features = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    features[:, :4] += 4 * np.eye(4)[TRUTH]
    found = study(dataclasses.replace(evidence, targets=sealed, features_ND=features), {})
    assert (found["part"], found["n"]) == ("validation", 60)
    assert found["model_name"] == "a head on frozen features"
    assert found["model"]["value"] > 0.9
    assert study(dataclasses.replace(evidence, targets=sealed), {})["model"] is None


def test_the_numbers_of_the_judged_part_decide_nothing_about_the_probe() -> None:
    rng = np.random.default_rng(0)
    values, fit = rng.normal(size=(50, 3)), np.arange(30)
    other = values.copy()
    other[30:] += 100
    assert np.array_equal(design(values, fit)[:30], design(other, fit)[:30])


def test_the_ridge_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    table, wanted = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5], rng.normal(size=(60, 2))
    alpha = 0.1 * table[:40].var(axis=0).mean() * 40
    oracle = Ridge(alpha=alpha).fit(table[:40], wanted[:40]).predict(table[40:])
    found = ridge_answers(table[:40], wanted[:40], table[40:], ridge=0.1)
    assert found == pytest.approx(oracle)


@pytest.mark.parametrize("at_once", [5, 24, 500_000])
def test_areas_of_cells_are_scikit_learns_areas_of_pictures(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(separation, "NUMBERS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 12, 300)
    scores = rng.integers(0, 7, (12, 3)) / 7  # with ties between cells
    members = (rng.random((300, 3)) < scores[cells] * 0.6 + 0.2) * 1.0
    one_hot = np.eye(12)[cells]
    found = areas_of(scores, one_hot.T @ members, one_hot.sum(axis=0))
    wanted = [roc_auc_score(members[:, k], scores[cells, k]) for k in range(3)]
    assert found == pytest.approx(wanted)


def number(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 200, "method": ""}


@pytest.mark.parametrize(
    ("gain", "share", "ahead", "wanted"),
    [
        ((0.1, -0.1), (0.6, 0.55), (0.3, 0.2), "says nothing"),
        ((0.3, 0.2), (0.4, 0.3), (0.3, 0.2), "says something"),
        ((0.3, 0.2), (0.6, 0.45), (0.3, 0.2), "says something"),
        ((0.3, 0.2), (0.6, 0.55), (0.3, 0.2), "nearly wins"),
        ((0.3, 0.2), (0.6, 0.45), (0.1, -0.1), "nearly wins"),
        ((0.3, 0.2), None, None, "says something"),
    ],
)
def test_the_rule_of_nearly_winning(gain: Any, share: Any, ahead: Any, wanted: str) -> None:
    found = {
        "gain": number(*gain, math.inf),
        "share": share and number(*share, math.inf),
        "ahead": ahead and number(*ahead, math.inf),
    }
    assert verdict(found) == wanted


@pytest.mark.parametrize(
    ("share", "ahead", "severity"),
    [
        ((0.6, 0.55, 0.65), (0.3, 0.2, 0.4), "severe"),
        ((0.7, 0.4, 1.0), (0.1, -0.1, 0.3), "warning"),  # few pictures tell so little
        (None, (0.1, -0.1, 0.3), "warning"),
        (None, (-0.6, -0.8, -0.4), "severe"),
    ],
)
def test_it_is_severe_only_where_more_than_want_of_pictures_says_so(
    share: Any, ahead: Any, severity: str
) -> None:
    found = {
        "verdict": "nearly wins", "sentence": "They reach much.", "seen_share": 1.0, "clues": [],
        "families": [{"name": "border", "share": number(0.1, 0.0, 0.2)}],
        "share": number(*share) if share else {"value": None, "low": None, "high": None},
        "ahead": number(*ahead),
    }  # fmt: skip
    (made,) = findings(found, task=TASK, source_is_label=False)
    assert made["severity"] == severity


def test_the_sentence_says_it_all() -> None:
    families = ["border", "size and file kind", "sharpness", "brightness and colour"]
    found = {
        "families": [{"name": name} for name in [*families, "top left corner"]],
        "n": 200, "part": "test", "verdict": "says something",
        "majority": number(0.2, 0.15, 0.26), "trivial": number(0.41, 0.344, 0.479),
        "model": number(0.93, 0.886, 0.958), "model_name": "the model",
        "share": number(0.288, 0.2, 0.376), "ahead": number(0.52, 0.44, 0.6),
    }  # fmt: skip
    assert sentence(found, TASK) == (
        "Brightness, colour, sharpness, border, size and file kind alone name 0.410 [0.344, "
        "0.479] of the 200 test pictures rightly (majority 0.200; the model 0.930). They reach "
        "29 % [20 %, 38 %] of what the model gains over majority."
    )
    found["families"] = [{"name": name} for name in ("source", "bytes of the file", "border")]
    assert sentence(found, TASK).startswith("Border, bytes of the file and source alone name 0.410")
    found["families"] = [{"name": "size and file kind"}]
    assert sentence(found, TASK).startswith("Size and file kind alone name 0.410")


@pytest.mark.parametrize(
    ("share", "ahead", "wanted"),
    [
        (
            (0.6, 0.55, 0.65), (0.3, 0.2, 0.4),
            "They reach 60 % [55 %, 65 %] of what the model gains over always the mean.",
        ),
        (
            (0.688, 0.381, 1.2), (0.1, -0.1, 0.3),
            "They reach 69 % [38 %, 100 %] of what the model gains over always the mean. They "
            "are not told apart from the model.",
        ),
        (None, (0.1, -0.1, 0.3), "They are not told apart from the model."),
        (None, (0.1, None, None), "They are not told apart from the model."),
        ((1.3, 1.1, 1.5), (-0.6, -0.8, -0.4), "They do better than the model."),
        (None, (-0.6, -0.8, -0.4), "They do better than the model."),
    ],
)  # fmt: skip
def test_how_near_the_properties_come_is_said_in_words_that_are_so(
    share: Any, ahead: Any, wanted: str
) -> None:
    """Errors of 0.521 beside the model's 1.135 are no "nearly", and a share of it ends at all."""
    nothing = {"value": None, "low": None, "high": None}
    found = {
        "families": [{"name": "border"}], "n": 200, "part": "test", "verdict": "nearly wins",
        "majority": number(1.214, 1.1, 1.3), "trivial": number(0.521, 0.4, 0.6),
        "model": number(1.135, 1.0, 1.2), "model_name": "the model",
        "share": number(*share) if share else nothing, "ahead": number(*ahead),
    }  # fmt: skip
    task = Task(kind="regression", classes=(), target_mean=0.0, target_std=1.0)
    assert sentence(found, task) == (
        "Border alone are off by 0.521 [0.400, 0.600] on average on the 200 test pictures (always "
        f"the mean 1.214; the model 1.135). {wanted}"
    )


def test_where_numbers_are_learned_the_advice_speaks_of_no_class() -> None:
    task = Task(kind="regression", classes=(), target_mean=0.0, target_std=1.0)
    found = {
        "verdict": "nearly wins", "sentence": "They do better than the model.",
        "seen_share": 1.0, "clues": [],
        "families": [{"name": "border", "share": number(1.05, 0.853, 1.247)}],
        "share": number(1.3, 1.1, 1.5), "ahead": number(-0.6, -0.8, -0.4),
    }  # fmt: skip
    (made,) = findings(found, task=task, source_is_label=False)
    assert made["sentence"] == (
        "They do better than the model. Most of what they gain, 100 % [85 %, 100 %], is in the "
        "border."
    )
    assert made["action"] == (
        "look at what pictures with like numbers share beside what they show; where that is no "
        "part of the answer, collect pictures of all numbers in the same way, or cut it away"
    )


def test_what_the_network_is_not_shown_is_told_with_the_border() -> None:
    one = {
        "property": "border", "family": "border", "class": "oak", "single": "",
        "severity": "severe", "auc": number(0.99, 0.98, 1.0), "pictures": [],
    }  # fmt: skip
    found = {"verdict": "says something", "clues": [one], "seen_share": 0.875}
    (finding,) = findings(found, task=TASK, source_is_label=False)
    assert finding["sentence"] == (
        "The border alone nearly tells 'oak' from the others: of a picture of 'oak' and another "
        "one it knows which is which in 0.990 [0.980, 1.000] of all pairs (n = 200). It is "
        "measured on the whole picture; the middle 88% of each side is what the network is shown "
        "when it answers."
    )
    (finding,) = findings({**found, "seen_share": 1.0}, task=TASK, source_is_label=False)
    assert finding["sentence"].endswith("of all pairs (n = 200).")


def test_of_many_classes_witnesses_hold_the_scores_of_the_largest_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of four classes are asked about, the second and the last; the last has a border."""
    truth = np.repeat([0, 1, 2, 3], [60, 130, 80, 130])
    pixels = pictures().copy()
    pixels[truth == 3] = bordered(pixels[truth == 3], px=4, colour=(200, 30, 30))
    monkeypatch.setattr(separation, "MOST_CLASSES", 2)
    held: list[separation.Clue] = []

    def spied(clues: Any, members_NK: np.ndarray, kept: Grouping) -> Any:
        held.extend(clues)
        return separation.separations(clues, members_NK, kept)

    monkeypatch.setattr(shortcuts, "separations", spied)
    found = study(evidence_of(pixels, truth, task=TASK), {})
    assert {own.scores_CA.shape[1] for own in held} == {2}
    assert {own.scores_CA.dtype for own in held if len(own.scores_CA) > 16} == {np.dtype("f4")}
    assert found["num_tried"] == 2 * len(held)
    best = found["clues"][0]
    assert (best["class"], best["severity"]) == ("rowan", "severe")
    assert {one["class"] for one in found["clues"]} == {"elm", "rowan"}
    assert all(one["path"].startswith("rowan/") for one in best["pictures"])


def test_of_many_pictures_some_are_drawn_to_be_asked_about_and_their_number_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = planted(lambda own: bordered(own, px=4, colour=(200, 30, 30)))
    every = of(pixels)
    monkeypatch.setattr(shortcuts, "MOST_ASKED", 4 * 150)
    some = of(pixels)
    assert every["num_asked"] == 300
    assert some["num_asked"] == pytest.approx(150, abs=4)
    assert some == of(pixels)  # the draw is the seed's
    for found in (every, some):
        best = found["clues"][0]
        assert (best["class"], best["family"], best["severity"]) == ("oak", "border", "severe")
        assert all(one["path"].startswith("oak/") for one in best["pictures"])
    assert (every["families"], every["trivial"]) == (some["families"], some["trivial"])


def test_pictures_of_one_group_cannot_judge_each_other() -> None:
    evidence = evidence_of(
        planted(lambda own: bordered(own, px=4, colour=(9, 9, 9))), TRUTH, task=TASK
    )
    parts = np.array(evidence.split.parts)
    groups = tuple(np.where(parts == "test", "", "one patient").tolist())
    together = dataclasses.replace(
        evidence, split=dataclasses.replace(evidence.split, groups=groups)
    )
    found = study(together, {})
    assert (found["clues"], found["num_tried"]) == ([], 0)
    assert found["not_asked"] == (
        "the pictures of the train and validation part are all of one group, and no half of them "
        "could judge what the other half suggests"
    )
    # negative control: of two patients each judges the other
    two = tuple(own and f"{own} {row // 4 % 2}" for row, own in enumerate(groups))
    apart = dataclasses.replace(evidence, split=dataclasses.replace(evidence.split, groups=two))
    found = study(apart, {})
    assert (found["not_asked"], found["num_tried"] > 0) == ("", True)


def nearly_won(families: list[dict[str, Any]], clues: list[dict[str, Any]]) -> str:
    found = {
        "verdict": "nearly wins", "sentence": "They nearly win.", "seen_share": 1.0,
        "families": families, "clues": clues,
        "share": number(0.8, 0.7, 0.9), "ahead": number(0.1, 0.05, 0.15),
    }  # fmt: skip
    text: str = findings(found, task=TASK, source_is_label=False)[0]["sentence"]
    return text


def test_most_of_what_all_properties_gain_is_in_a_family_only_where_that_is_shown() -> None:
    width = {**striking("elm", ""), "low_corrected": 0.6}
    corner = {"name": "top left corner", "share": number(0.95, 0.9, 1.0)}
    small = {"name": "size and file kind", "share": number(0.15, 0.05, 0.25)}
    assert nearly_won([corner, small], [width]) == "They nearly win."
    unsure = {**small, "share": number(0.7, 0.4, 1.0)}
    assert nearly_won([corner, unsure], [width]) == "They nearly win."
    unknown = {**small, "share": {"value": None, "low": None, "high": None}}
    assert nearly_won([corner, unknown], [width]) == "They nearly win."
    large = {**small, "share": number(0.9, 0.8, 1.0)}
    assert nearly_won([corner, large], [width]) == (
        "They nearly win. Most of what they gain, 90 % [80 %, 100 %], is in the size and file "
        "kind, which tells 'elm' best, by the width."
    )


def test_a_family_that_another_may_gain_as_much_as_is_not_said_to_hold_it() -> None:
    border = {"name": "border", "share": number(1.05, 0.853, 1.247)}
    corner = {"name": "top left corner", "share": number(0.95, 0.9, 1.0)}
    light = {"name": "brightness and colour", "share": number(1.02, 0.8, 1.2)}
    small = {"name": "sharpness", "share": number(0.15, 0.05, 0.25)}
    unknown = {"name": "source", "share": {"value": None, "low": None, "high": None}}
    clue = {**striking("oak", ""), "family": "border"}
    assert nearly_won([border, light, corner, small, unknown], [clue]) == (
        "They nearly win. The border alone gains 100 % [85 %, 100 %] of what they gain, and "
        "cannot be told apart from brightness and colour."
    )


def test_the_class_that_a_family_tells_best_is_told_by_a_clue_of_that_family() -> None:
    large = {"name": "border", "share": number(0.9, 0.8, 1.0)}
    most = "They nearly win. Most of what they gain, 90 % [80 %, 100 %], is in the border"
    width, border = striking("elm", ""), {**striking("oak", ""), "family": "border"}
    assert nearly_won([large], [width]) == f"{most}."
    by_chance = {**border, "low_corrected": 0.45}
    assert nearly_won([large], [width, by_chance]) == f"{most}."
    assert nearly_won([large], [width, border]) == f"{most}, which tells 'oak' best, by the width."


def striking(name: str, severity: str) -> dict[str, Any]:
    return {
        "property": "width", "family": "size and file kind", "class": name, "single": "width",
        "severity": severity, "auc": number(0.99, 0.98, 1.0), "low_corrected": 0.9,
        "pictures": [{"path": f"{name}/1.jpg"}],
    }  # fmt: skip


def test_of_many_accused_classes_the_rest_is_named_in_one_finding() -> None:
    accused = [striking(f"c{place}", "severe") for place in range(7)]
    accused += [striking(f"c{place}", "warning") for place in range(7, 13)]
    found = {"verdict": "says something", "clues": accused, "seen_share": 1.0}
    made = findings(found, task=TASK, source_is_label=False)
    assert [own["severity"] for own in made] == ["severe"] * 7
    assert ["'c5'" in own["sentence"] for own in made] == [False] * 5 + [True, False]
    assert made[-1]["sentence"] == (
        "7 more classes are nearly told from the others by one property alone: 'c6' by the width, "
        "'c7' by the width, 'c8' by the width, 'c9' by the width, 'c10' by the width and 2 more."
    )
    assert made[-1]["paths"] == [f"c{place}/1.jpg" for place in range(6, 13)]
    (*_, last) = findings({**found, "clues": accused[:7]}, task=TASK, source_is_label=False)
    assert last["sentence"] == (
        "One more class is nearly told from the others by one property alone: 'c6' by the width."
    )


def test_every_class_that_is_told_by_its_size_is_among_the_clues() -> None:
    """Nine classes of nine widths: more than are shown."""
    truth = np.arange(900) % 9
    task = Task(kind="multiclass", classes=tuple(f"c{place}" for place in range(9)))
    names = [task.classes[own] for own in truth]
    catalog = catalog_of(names, widths_px=(400 + 100 * truth).astype(np.int32))
    evidence = evidence_of(photographs(900, seed=1, side=16), truth, task=task, catalog=catalog)
    nothing = dataclasses.replace(
        evidence.looks, thumbs_NHW=evidence.looks.thumbs_NHW[:0], corners_NCHW=None
    )
    found = study(dataclasses.replace(evidence, looks=nothing), {})
    accused = {one["class"] for one in found["clues"] if one["severity"] == "severe"}
    assert accused == set(task.classes)
    said = [own["sentence"] for own in found["findings"] if own["kind"] == "shortcut-property"]
    assert said[-1].startswith("3 more classes are nearly told from the others")


def test_a_source_that_is_the_class_is_said() -> None:
    found = {"verdict": "says nothing", "clues": []}
    (finding,) = findings(found, task=TASK, source_is_label=True)
    assert (finding["kind"], finding["severity"]) == ("source-is-class", "note")


def test_numbers_and_several_labels_are_judged_by_their_errors() -> None:
    rng = np.random.default_rng(0)
    light = pictures().mean(axis=(1, 2, 3))
    value = light / 50 + rng.normal(0, 0.1, 400)
    evidence = evidence_of(pictures(), TRUTH, task=TASK, accuracy=None)
    number_task = Task(
        kind="regression", classes=(), target_mean=value.mean(), target_std=value.std()
    )
    found = study(dataclasses.replace(evidence, task=number_task, targets=value), {})
    assert found["score"] == "mean error"
    assert found["trivial"]["value"] < 0.4 * found["majority"]["value"]
    assert found["families"][0]["name"] == "brightness and colour"
    assert (found["clues"], found["verdict"]) == ([], "says something")

    labels = np.stack([light > np.median(light), rng.random(400) < 0.5, OAK], axis=1)
    label_task = Task(kind="multilabel", classes=("light", "coin", "oak"), separator=";")
    found = study(
        dataclasses.replace(evidence, task=label_task, targets=labels.astype(np.uint8)), {}
    )
    assert found["score"] == "share of labels right"
    (finding,) = found["findings"]
    assert "nearly tells 'light'" in finding["sentence"]


def test_too_few_pictures_are_not_asked() -> None:
    evidence: Evidence = evidence_of(pictures()[:60], TRUTH[:60], task=TASK)
    with pytest.raises(NotPossible, match="20 pictures to be fitted on and 20 to be judged by"):
        study(evidence, {})


def test_of_very_many_pictures_probes_are_fitted_on_some_and_judged_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shortcuts, "MOST_FITTED", 80)
    found = of(planted(lambda own: bordered(own, px=4, colour=(200, 30, 30))))
    assert found["n"] == 100
    (border,) = [one for one in found["families"] if one["name"] == "border"]
    assert border["p_corrected"] < 0.01
