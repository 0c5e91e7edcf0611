"""What share of planted errors the first suspects hold, on photographs (docs/suspects.md)."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.planted_labels import plant
from tests.insight.labelled import evidence_of

from saccade.insight.evidence import Evidence
from saccade.insight.suspects import study
from saccade.lesson import look
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights" / "mobilenetv2_100.safetensors"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not WEIGHTS.is_file() or not (SHARED / "data" / "flowers").is_dir(),
        reason="the shared data and weights are not here",
    ),
]


@pytest.fixture(scope="module")
def flowers() -> Evidence:
    """All 1,000 flowers as training pictures, with what frozen mobilenetv2_100 says of them."""
    from saccade.data.pixel_store import PixelStore
    from saccade.models import network
    from saccade.models.inference import extract_features
    from saccade.models.weights import fetch

    recipe = Recipe(
        data=str(SHARED / "data" / "flowers"), model="mobilenetv2_100", weights=str(WEIGHTS)
    )
    preprocess = network.preprocess_for(recipe.model, img_size=0, fit="crop")
    with PixelStore(preprocess) as pixels:
        lesson = look(recipe, recipe.data, pixels, progress=Progress())
        net, _ = network.build(
            recipe.model,
            task=lesson.task,
            recipe=recipe,
            weights=fetch(recipe.model, weights=recipe.weights),
        )
        rows = range(len(lesson.catalog))
        features_ND = extract_features(net.eval(), lesson.cache, rows).reshape(len(rows), -1)
    split = dataclasses.replace(lesson.split, parts=("train",) * len(rows))
    return evidence_of(dataclasses.replace(lesson, split=split), features_ND)


@pytest.mark.parametrize("kind", ["symmetric", "pairwise"])
@pytest.mark.parametrize(
    ("share", "fewest"), [(0.05, 0.85), (0.1, 0.7), (0.2, 0.42)], ids=["5 %", "10 %", "20 %"]
)
def test_the_first_hundred_suspects_hold_most_of_what_was_planted(
    flowers: Evidence, kind: str, share: float, fewest: float
) -> None:
    """Of 200 planted errors a hundred suspects can hold no more than half."""
    found_first, found_listed, estimates = [], [], []
    for seed in range(5):
        truth_N = np.asarray(flowers.targets)
        labels_N, wrong_N = plant(truth_N, share, kind, num_classes=5, seed=seed)
        names = tuple(flowers.task.classes[k] for k in labels_N)
        catalog = dataclasses.replace(flowers.catalog, labels=names)
        found = study(dataclasses.replace(flowers, targets=labels_N, catalog=catalog), {})
        wrong = {flowers.catalog.paths[row] for row in np.flatnonzero(wrong_N)}
        listed = [own["path"] for own in found["suspects"]]
        found_first.append(len(wrong & set(listed[:100])) / len(wrong))
        found_listed.append(len(wrong & set(listed)) / len(wrong))
        estimates.append(found["share"])
        assert found["share"]["low"] <= share <= found["share"]["high"]
    means = [np.mean(own) for own in (found_first, found_listed)]
    value = np.mean([own["value"] for own in estimates])
    print(f"{share:.0%} {kind}: first 100 {means[0]:.3f}, listed {means[1]:.3f}, said {value:.3f}")
    assert means[0] >= fewest


@pytest.mark.parametrize("share", [0.05, 0.1], ids=["5 %", "10 %"])
@pytest.mark.parametrize("looked_at", [20, 40, 80])
def test_how_many_are_left_is_not_underrated_after_the_surest_were_put_right(
    flowers: Evidence, share: float, looked_at: int
) -> None:
    """Who looked at the first suspects put right those that are wrong and confirmed the others."""
    truth_N = np.asarray(flowers.targets)
    classes, paths = flowers.task.classes, flowers.catalog.paths
    held, alone = [], []
    for seed in range(5):
        labels_N, _ = plant(truth_N, share, "symmetric", num_classes=5, seed=seed)
        names = tuple(classes[k] for k in labels_N)
        given = dataclasses.replace(flowers.catalog, labels=names)
        first = study(dataclasses.replace(flowers, targets=labels_N, catalog=given), {})
        seen = [paths.index(own["path"]) for own in first["suspects"][:looked_at]]
        mended_N = labels_N.copy()
        mended_N[seen] = truth_N[seen]
        catalog = dataclasses.replace(
            given,
            labels=tuple(classes[k] for k in mended_N),
            given=given,
            settled=frozenset(paths[row] for row in seen),
        )
        evidence = dataclasses.replace(flowers, targets=mended_N, catalog=catalog)
        second = study(evidence, {})
        left = float((mended_N != truth_N).mean())
        held.append(second["share"]["low"] <= left <= second["share"]["high"])
        values = [own["share"][end] for own in (first, second) for end in ("value", "high")]
        alone.append((left, second["num_sure"] / 1000, *values))
    print(looked_at, share, [f"{number:.3f}" for number in np.mean(alone, axis=0)], sum(held))
    assert all(held)


def test_among_labels_that_nobody_touched_few_are_surely_contradicted(flowers: Evidence) -> None:
    found = study(flowers, {})
    print(f"untouched: listed {found['num_listed']}, sure {found['num_sure']}, {found['share']}")
    assert found["num_sure"] <= 25
    assert found["share"]["low"] == 0
