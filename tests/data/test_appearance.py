"""Pictures that hardly show anything, and how little few test pictures can show."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.insight.planted import blurred, brightened, catalog_of, looks_of, photographs

from saccade.data import appearance
from saccade.data.appearance import appearance_findings
from saccade.data.audit import _error_width, _half_width, look
from saccade.data.catalog import Finding
from saccade.data.scan import scan
from saccade.data.split import Split
from saccade.data.task import Task, choose_task
from saccade.evaluation.intervals import proportion

Photos = Callable[[Mapping[str, int]], Path]


def found(pixels_NHWC: np.ndarray) -> dict[str, Finding]:
    catalog = catalog_of(["a"] * len(pixels_NHWC))
    return {own.kind: own for own in appearance_findings(catalog, looks_of(pixels_NHWC))}


def with_odd_ones() -> np.ndarray:
    pixels = photographs(60, seed=0)
    pixels[3] = 127
    pixels[7] = pixels[7] // 15
    pixels[11] = 255 - pixels[11] // 15
    pixels[20] = 120 + pixels[20] // 20
    pixels[30:31] = blurred(pixels[30:31], px=6)
    return pixels


def test_photographs_have_nothing_odd_about_them() -> None:
    assert found(photographs(80, seed=1)) == {}


def test_each_odd_picture_is_named_for_what_is_odd() -> None:
    kinds = {kind: own.paths for kind, own in found(with_odd_ones()).items()}
    assert kinds == {
        "blank": ("a/00003.jpg",),
        "dark": ("a/00007.jpg",),
        "bright": ("a/00011.jpg",),
        "flat": ("a/00020.jpg",),
        "blurred": ("a/00030.jpg",),
    }
    assert found(with_odd_ones())["blurred"] == Finding(
        kind="blurred",
        severity="note",
        paths=("a/00030.jpg",),
        sentence="1 picture is blurred, unlike the others: a/00030.jpg.",
        action="look whether these pictures show what their labels say",
    )


def test_what_is_usual_in_the_data_is_not_odd() -> None:
    night = brightened(photographs(60, seed=2) // 8, by=0)
    assert found(night) == {}


def test_without_the_absolute_bounds_good_pictures_are_called_odd_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("DARK", 1), ("BRIGHT", 0), ("FLAT", 1), ("BLURRED", 1)):
        monkeypatch.setattr(appearance, name, value)
    monkeypatch.setattr(appearance, "FAR_LIGHT", 2)
    monkeypatch.setattr(appearance, "FAR", 2)
    assert len(found(photographs(80, seed=1))) >= 2


def test_the_audit_says_it_where_it_is_given_the_looks(photos: Photos) -> None:
    catalog = scan(photos({"a": 30, "b": 30}))
    task = choose_task(catalog)
    assert look(catalog, task) == look(catalog, task, looks=looks_of(photographs(60, seed=0)))
    (finding,) = look(catalog, task, looks=looks_of(with_odd_ones()))[:1]
    assert (finding.kind, finding.severity) == ("blank", "warning")
    assert finding.sentence == (f"1 picture is of one colour all over: {catalog.paths[3]}.")


def claims(
    num_test: int, *, groups: tuple[str, ...] = (), kind: str = "multiclass"
) -> list[Finding]:
    labels = [str(row % 2) for row in range(num_test + 40)]
    catalog = catalog_of(labels)
    parts = ("train",) * 40 + ("test",) * num_test
    own = ("",) * 40 + (groups or ("",) * num_test)
    split = Split(parts=parts, groups=own, why=parts, seed=0)
    task = Task(kind=kind, classes=() if kind == "regression" else ("0", "1"))
    return [own for own in look(catalog, task, split) if own.kind == "few-for-a-claim"]


def test_too_few_pictures_for_a_claim_are_told_before_anything_is_learned() -> None:
    (finding,) = claims(40)
    assert finding.sentence == (
        "With 40 test pictures an accuracy of 0.9 would be known to ± 0.10 only."
    )
    assert [own.severity for own in claims(36)] == ["warning"]
    assert [own.severity for own in claims(37)] == ["note"]
    assert claims(141) == []
    (finding,) = claims(40, kind="regression")
    assert finding.sentence == (
        "With 40 test pictures a mean error would be known to ± 23% of itself only."
    )


def test_pictures_of_one_group_count_as_one() -> None:
    (finding,) = claims(200, groups=tuple(f"patient {row // 20}" for row in range(200)))
    assert finding.sentence == (
        "With 200 test pictures in 10 groups (or sets of copies), each of which may be right or "
        "wrong as one, an accuracy of 0.9 would be known to ± 0.19 only."
    )
    assert finding.severity == "warning"


@pytest.mark.parametrize("n", [10, 40, 200])
def test_the_width_is_that_of_the_interval_that_will_be_shown(n: int) -> None:
    own = proportion(0.9, effective=n, n=n, method="wilson")
    assert _half_width(0.9, n) == pytest.approx((own.high - own.low) / 2, abs=1e-4)


def test_the_width_of_a_mean_error_is_that_of_normal_errors() -> None:
    errors = np.abs(np.random.default_rng(0).normal(size=(4000, 50))).mean(axis=1)
    assert _error_width(50) == pytest.approx(1.96 * errors.std() / errors.mean(), rel=0.05)
