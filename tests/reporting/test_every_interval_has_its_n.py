"""A page on which every study has something to say: no interval stands without its n."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.reporting import (
    test_study_augmentation_safety,
    test_study_baselines,
    test_study_factors,
    test_study_leaks,
    test_study_learning_curve,
    test_study_limits,
    test_study_naive_split,
    test_study_robustness,
    test_study_shortcuts,
    test_study_suspects,
)
from tests.reporting.shown_intervals import without_n

from saccade.data.task import Task
from saccade.evaluation.intervals import apart, wilson
from saccade.evaluation.selective import Selective, curve
from saccade.evaluation.slices import Slice, WeakSlice, WeakSpots
from saccade.insight import shortcut_words, slices
from saccade.insight.studies import STUDIES
from saccade.reporting.collect import collect
from saccade.reporting.page import render

RunOf = Callable[..., Path]
TASK = Task(kind="multiclass", classes=("daisy", "rose", "tulip"))


def weak_spots() -> dict[str, Any]:
    inside, outside = wilson(28, 40), wilson(152, 160)
    weak = WeakSlice(
        places=(0,), inside=inside, outside=outside, difference=apart(outside, inside),
        p=2e-5, p_corrected=6e-4,
    )  # fmt: skip
    spots = WeakSpots(weak=(weak,), num_weak=1, num_slices=1, num_pairs=0, n=200)
    darkest = Slice(
        name="darkest: brightness below 0.25", about="brightness", members_N=np.arange(200) < 40
    )
    (shown,) = test_study_shortcuts.SLICES["slices"]
    shown = shown | {"name": darkest.name, "inside": inside.as_dict(), "outside": outside.as_dict()}
    said = slices.sentence(spots, [darkest], [shown], part="test", task="multiclass")
    return test_study_shortcuts.SLICES | {"sentence": said, "slices": [shown], "num_weak": 1}


def compared_with_augmentation() -> dict[str, Any]:
    estimate = test_study_robustness.estimate
    found = test_study_robustness.changed(gain=estimate(0.04, 0.05), num_views=1, has_views=True)
    found["plain"] |= {"without": estimate(0.86, 0.08), "with": estimate(0.9, 0.08)}
    light = found["disturbances"][2]["points"][0]["final"]
    light |= {"p": 0.02, "p_corrected": 0.1}  # perhaps worse
    return found


def limits() -> dict[str, Any]:
    answers = Selective(
        sureness_N=np.linspace(1, 0.4, 200).astype(np.float32), right_N=np.arange(200) % 7 < 6
    )
    own = test_study_limits.LIMITS["answers"] | {"curve": [list(one) for one in curve(answers)]}
    return test_study_limits.LIMITS | {"answers": own}


def complete() -> dict[str, dict[str, Any]]:
    """Return every study with as much to say as there is."""
    shortcuts = test_study_shortcuts.SHORTCUTS
    return {
        "leaks": test_study_leaks.FOUND,
        "naive_split": test_study_naive_split.FOUND,
        "shortcuts": shortcuts | {"sentence": shortcut_words.sentence(shortcuts, TASK)},
        "baselines": test_study_baselines.FOUND,
        "calibration": test_study_limits.CALIBRATION,
        "limits": limits(),
        "robustness": compared_with_augmentation(),
        "slices": weak_spots(),
        "suspects": test_study_suspects.findings(),
        "learning_curve": test_study_learning_curve.FOUND,
        "factors": test_study_factors.FOUND,
        "augmentation_safety": test_study_augmentation_safety.with_mirror(),
    }


def page_of(run: Path, studies: dict[str, Any]) -> str:
    trust = {"format_version": 1, "studies": studies, "left_out": {}, "seconds": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    return render(collect(run, picture=lambda _path: None))


def test_no_interval_of_a_page_with_all_studies_stands_without_its_n(run_of: RunOf) -> None:
    studies = complete()
    assert set(studies) == {own.name for own in STUDIES}
    run = run_of(ladder="+-", race=True)
    bare, num = without_n(page_of(run, studies))
    assert num > 250
    assert bare == []


def test_a_sentence_a_cell_and_a_drawing_without_n_are_found_negative_control() -> None:
    """Each is found as soon as its n is gone, and not before."""
    whole = (
        "<p>It names 0.870 [0.790, 0.920] rightly (n = 120). Ahead by +0.100 [+0.010, +0.200] on "
        "the same 120 pictures.</p>"
        "<table><thead><tr><th>part</th><th>accuracy</th><th>n</th></tr></thead>"
        "<tbody><tr><th>test</th><td>0.870 <span>0.790 to 0.920</span></td><td>120</td></tr>"
        '</tbody></table><figure><svg aria-label="curve"><path class="band"/></svg><p>n = 120</p>'
        "</figure>"
    )
    assert without_n(whole)[0] == []
    for n in ("(n = 120)", " on the same 120 pictures", "<td>120</td>", "<p>n = 120</p>"):
        assert n in whole
        assert len(without_n(whole.replace(n, ""))[0]) == 1, n
