"""The golden curves: what a refactoring must leave as it is, to the last digit.

Where the processor and torch are those that made them, every number must be the same; elsewhere
sums are added up in another order, so only the first digits are asked for. After a change that is
meant to change them: `make golden`, and say in the commit why.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.climbs import CLIMB, Lessons, pixel_store, write_pictures

from saccade.models.engine import one_thread
from saccade.runtime.device import has_bf16
from saccade.runtime.machine import describe
from saccade.training.recipe import Recipe

GOLDEN = Path(__file__).with_name("golden_curves.json")
ELSEWHERE = 0.02  # relative; a curve of another run differs by tenths
ELSEWHERE_IN_BF16 = (
    0.1  # eight bits, and a processor without bf16 adds up what it imitates otherwise
)
RUNS: dict[str, Recipe] = {
    "ladder": CLIMB,
    "head": CLIMB.replace(unfreeze="0"),
    "two stages": CLIMB.replace(unfreeze="2", epochs=3),
    "two stages in bf16": CLIMB.replace(unfreeze="2", epochs=3, precision="bf16"),
    "sgd, everything, smoothed": CLIMB.replace(
        unfreeze="all", opt="sgd", smoothing=0.1, lr=3e-2, body_lr=3e-3
    ),
}
NUMBERS = ("train_loss", "validation_loss", "gain", "penalty")


def made_by() -> dict[str, Any]:
    kernels = torch.backends.cpu.get_cpu_capability()  # one name stands for several generations
    return {
        "processor": describe()["processor"],
        "kernels": kernels,
        "bf16": has_bf16(),
        "torch": torch.__version__,
    }


def curves(lessons: Lessons, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the numbers of each head, epoch and rung, in their order."""
    events = [own for own in lessons.climb(recipe).timeless if own["event"] != "note"]
    return [
        {"event": own["event"], **{name: own[name] for name in NUMBERS if name in own}}
        for own in events
        if any(name in own for name in NUMBERS)
    ]


def numbers(point: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in point.items() if name != "event"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("golden")
    with pytest.MonkeyPatch.context() as patch, one_thread(), pixel_store() as pixels:
        patch.setenv("SACCADE_CACHE", str(root / "cache"))
        lessons = Lessons(write_pictures(root / "pictures"), pixels)
        drawn = {name: curves(lessons, recipe) for name, recipe in RUNS.items()}
    if os.environ.get("SACCADE_MAKE_GOLDEN"):
        text = json.dumps({"made_by": made_by(), "curves": drawn}, indent=1)
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    return drawn


@pytest.mark.parametrize("name", RUNS)
def test_the_curves_are_the_golden_ones(found: dict[str, Any], name: str) -> None:
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    own, golden = found[name], kept["curves"][name]
    if kept["made_by"] == made_by():
        assert own == golden
    assert [point["event"] for point in own] == [point["event"] for point in golden]
    apart = ELSEWHERE_IN_BF16 if RUNS[name].precision == "bf16" else ELSEWHERE
    for point, wanted in zip(own, golden, strict=True):
        assert numbers(point) == pytest.approx(numbers(wanted), rel=apart, abs=apart)
        if "penalty" in wanted:
            assert point["penalty"] == pytest.approx(wanted["penalty"], rel=1e-6, abs=0)


def test_another_run_is_seen_negative_control(found: dict[str, Any]) -> None:
    """Curves of other runs are farther apart than those of one run on two machines may be."""
    losses = [own["train_loss"] for own in found["two stages"] if own["event"] == "epoch"]
    others = [own["train_loss"] for own in found["ladder"] if own["event"] == "epoch"]
    assert losses[:2] != pytest.approx(others[:2], rel=ELSEWHERE, abs=ELSEWHERE)
