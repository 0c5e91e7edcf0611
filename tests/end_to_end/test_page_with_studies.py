"""A page with everything on it: small enough, and readable at every width."""

import json
from pathlib import Path

import pytest
from tests.browser import needs_browser, overhang

import saccade
from saccade.insight.studies import STUDIES

SHARED = Path(__file__).parents[3] / "shared"
CIFAR, WEIGHTS = SHARED / "data" / "cifar10.parquet", SHARED / "weights"
MAX_BYTES = 5_000_000
NO_GROUPS = {"naive_split"}  # that the data have none is what it says


@needs_browser
@pytest.mark.slow
@pytest.mark.skipif(not (CIFAR.is_file() and WEIGHTS.is_dir()), reason="no ../shared")
def test_ten_thousand_pictures_with_every_study_are_a_page_to_read_on_a_phone(
    tmp_path: Path,
) -> None:
    recipe = saccade.Recipe(
        model="mobilenetv2_100",
        weights=str(WEIGHTS / "mobilenetv2_100.safetensors"),
        img_size=32,
        unfreeze="0",
        limit=10_000,
    )
    run = saccade.train(CIFAR, recipe, output=tmp_path / "run")
    assert len(run.predictions) == 10_000
    asked = json.loads((run.folder / "trust.json").read_text())
    assert set(asked["studies"]) >= {study.name for study in STUDIES} - NO_GROUPS
    assert run.report.stat().st_size <= MAX_BYTES
    assert overhang(run.folder, ["report.html"], widths=(360, 768, 1400)) == [0, 0, 0]
