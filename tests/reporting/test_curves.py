import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.reporting import ladders

from saccade.reporting.collect import collect
from saccade.reporting.curves import learning_figures, stretches
from saccade.reporting.figures import Figure
from saccade.reporting.learning import learning_of

RunOf = Callable[..., Path]


def figures(run: Path) -> dict[str, Figure]:
    facts = collect(run, picture=lambda path: np.zeros((8, 8, 3), np.uint8))
    return {figure.title: figure for figure in learning_figures(facts)}


def test_rungs_follow_one_another_on_one_axis() -> None:
    own = stretches(learning_of(ladders.ladder("+-")))
    assert [(one.name, one.taken) for one in own] == [
        ("last stage", True),
        ("last 2 stages", False),
    ]
    assert [one.places for one in own] == [(1, 2, 3, 4, 5, 6), (7, 8, 9, 10, 11, 12)]


def test_a_rung_under_way_has_a_number_for_a_name() -> None:
    (own,) = stretches(learning_of(ladders.epochs(0, 2)))
    assert own.name == "rung 1"


def test_epochs_without_a_ladder_are_one_stretch() -> None:
    (own,) = stretches(learning_of(ladders.epochs(0, 3, rung=None)))
    assert (own.name, own.places) == ("", (1, 2, 3))


def test_each_rung_has_its_own_line_and_an_undone_one_is_pale(run_of: RunOf) -> None:
    drawn = figures(run_of(ladder="+-"))["Loss per epoch"]
    assert len(re.findall(r'<polyline [^>]*class="line a"', drawn.svg)) == 1
    assert len(re.findall(r'<polyline [^>]*class="line a pale"', drawn.svg)) == 1
    assert "Pale: a rung that was undone." in drawn.caption
    ticks = re.findall(r'text-anchor="middle">(\d+)<', drawn.svg)
    assert ticks == ["1", "6", "1", "6"]


def test_without_a_ladder_the_curve_is_as_before(run_of: RunOf) -> None:
    drawn = figures(run_of(num_epochs=5))["Validation accuracy per epoch"]
    assert "pale" not in drawn.svg
    assert "kept: epoch 5" in drawn.svg
    assert "Pale" not in drawn.caption


def test_the_gradients_are_those_of_the_rung_that_was_kept(run_of: RunOf) -> None:
    titles = figures(run_of("one", ladder="+-")).keys()
    assert "Gradient norm per stage, rung “last stage”" in titles
    titles = figures(run_of("none", ladder="--")).keys()
    assert "Gradient norm per stage, rung “last 2 stages”" in titles


def test_a_negative_error_is_drawn_as_an_error(run_of: RunOf) -> None:
    drawn = figures(run_of(kind="regression", ladder="+"))["Validation RMSE per epoch"]
    assert drawn.caption.startswith("Lowest: ")
