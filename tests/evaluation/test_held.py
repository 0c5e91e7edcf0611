"""Row E4: what fits and what judges are never the same pictures."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.evaluation.populations import MULTICLASS, draw

from saccade.data.sealed import Sealed
from saccade.data.split import Split
from saccade.evaluation import calibration, conformal, held, reliability, selective, unknown
from saccade.evaluation.held import Held, hold
from saccade.runtime.errors import DataError

NONE = calibration.uncalibrated("")


def a_reference(own: Held) -> unknown.Reference:
    return unknown.fit_reference(own.logits_NK, rows=own.rows)


FITS: dict[str, Callable[[Held], object]] = {
    "calibration": lambda own: calibration.fit_calibration(own, seed=0),
    "prediction sets": lambda own: conformal.fit_conformal(own, NONE),
    "thresholds": lambda own: selective.fit_selective(own, NONE),
    "unknown": lambda own: unknown.fit_unknown(
        a_reference(draw(50, seed=3, first_row=1_000)), own, own.logits_NK
    ),
}


def judged(fitted_on: Held, judge: Held, what: str) -> object:
    """Fit on one set and judge by the other."""
    if what == "calibration":
        return reliability.reliability(judge, FITS[what](fitted_on), seed=0)  # type: ignore[arg-type]
    if what == "prediction sets":
        fitted = FITS[what](fitted_on)
        return conformal.measure_coverage(judge, NONE, fitted, 0.9)  # type: ignore[arg-type]
    if what == "thresholds":
        rows = FITS[what](fitted_on).fitted_on  # type: ignore[attr-defined]
        return selective.measure_answers(judge, NONE, 0.5, fitted_on=rows)
    found = FITS[what](fitted_on)
    return unknown.measure_unknown(judge, judge.logits_NK, found)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("what", FITS)
def test_nothing_is_fitted_on_another_part_than_validation(what: str, part: str) -> None:
    with pytest.raises(DataError) as caught:
        FITS[what](draw(80, part=part))
    assert str(caught.value) == (
        "Calibration and thresholds are fitted on the validation part, not on the "
        f"{part} part.\n"
        f"  where: 80 pictures of the {part} part\n"
        "  fix:   give the rows of the validation part"
    )


@pytest.mark.parametrize("what", FITS)
def test_the_pictures_that_fitted_do_not_judge(what: str) -> None:
    own = draw(80)
    with pytest.raises(DataError) as caught:
        judged(own, own, what)
    assert caught.value.code == "SACCADE-E391"
    assert caught.value.message == (
        "80 of 80 pictures would judge what was fitted on them, which always flatters."
    )


@pytest.mark.parametrize("what", FITS)
def test_one_common_picture_is_enough_to_refuse(what: str) -> None:
    with pytest.raises(DataError, match="1 of 80 pictures would judge"):
        judged(draw(80), draw(80, seed=1, part="test", first_row=79), what)
    assert judged(draw(80), draw(80, seed=1, part="test", first_row=80), what)


@pytest.mark.parametrize("what", FITS)
def test_without_the_guards_both_are_let_through_negative_control(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (calibration, conformal, selective, unknown):
        monkeypatch.setattr(module, "check_may_fit", lambda own: frozenset(own.rows))
    for module in (reliability, conformal, selective, unknown):
        monkeypatch.setattr(module, "check_may_judge", lambda *_, **__: None)
    own = draw(80, part="test")
    assert judged(own, own, what)


def test_a_reference_and_its_threshold_are_made_of_different_pictures() -> None:
    own = draw(80)
    with pytest.raises(DataError, match="80 of 80 pictures would judge"):
        unknown.fit_unknown(a_reference(own), own, own.logits_NK)


def test_a_part_is_held_without_a_look_at_the_answers_of_another() -> None:
    split = Split(
        parts=("train", "validation", "test", "validation"),
        groups=("", "a", "", ""),
        why=("",) * 4,
        seed=0,
    )
    own = hold(
        "validation",
        split=split,
        task=MULTICLASS,
        logits_NK=np.arange(20.0).reshape(4, 5),
        targets=Sealed(np.array([0, 1, 2, 3]), rows=[2]),
    )
    assert own.rows == (1, 3)
    assert own.targets.tolist() == [1, 3]
    assert own.logits_NK[:, 0].tolist() == [5, 15]
    assert own.groups == ("a", "")


def test_columns_of_different_lengths_are_refused() -> None:
    own = draw(4)
    with pytest.raises(ValueError, match="differ in length"):
        held.Held(
            part="test",
            rows=own.rows[:3],
            task=own.task,
            logits_NK=own.logits_NK,
            targets=own.targets,
        )
