"""What the card and the page say of a model in plain timm, held against saccade's own scores."""

import ast
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tests.reporting.test_card import ledger

from saccade.data import decode
from saccade.evaluation.calibration import Calibration
from saccade.reporting.card import card_text
from saccade.reporting.collect import collect
from saccade.reporting.page import render

RunOf = Callable[..., Path]
HOT = Calibration(kind="temperature", temperature=1.7320508, n=84)
CURVE = Calibration(kind="isotonic", temperature=1.5, knots=(0.0, 1.0), values=(0.1, 0.9), n=2_000)
TWO_LABELS = {"kind": "multilabel", "classes": ("cat", "dog")}
KINDS: tuple[dict[str, Any], ...] = ({}, {"kind": "binary", "classes": ("ant", "bee")}, TWO_LABELS)


def page_of(run: Path, calibration: Calibration) -> str:
    fields = {"kind": calibration.kind, "temperature": calibration.temperature, "n": calibration.n}
    config = {"saccade": {"trust": {"calibration": fields}}}
    (run / "model" / "config.json").write_text(json.dumps(config))
    return html.unescape(re.sub(r"</?code>", "", render(collect(run, picture=lambda path: None))))


def snippet_of(text: str) -> str:
    """Return the lines from `import timm` to the end of the code."""
    return text[text.index("import timm") :].split("```")[0].split("</")[0]


def both_texts(run: Path, calibration: Calibration) -> tuple[str, str]:
    return card_text(*ledger(run), calibration=calibration), page_of(run, calibration)


@pytest.mark.parametrize("fields", KINDS)
def test_the_last_line_of_the_snippet_gives_the_scores_that_saccade_gives(
    run_of: RunOf, fields: dict[str, Any]
) -> None:
    run = run_of(**fields)
    _, task, _ = ledger(run)
    width = 1 if task.kind == "binary" else len(task.classes)
    logits_NK = np.random.default_rng(0).normal(0, 3, (1, width)).astype(np.float32)
    wanted_NK = HOT.scores(logits_NK, task=task)
    for text in both_texts(run, HOT):
        found: dict[str, Any] = {"logits": torch.from_numpy(logits_NK)}
        exec(snippet_of(text).strip().splitlines()[-1], found)
        scores_NK = found[
            "score_of_the_second_class" if task.kind == "binary" else "scores"
        ].numpy()
        assert scores_NK[:, -1] == pytest.approx(wanted_NK[:, -1], abs=1e-5)
        assert "divided by the temperature 1.73205" in text


def test_scores_that_a_curve_calibrates_are_not_said_to_come_from_plain_timm(
    run_of: RunOf,
) -> None:
    for text in both_texts(run_of(), CURVE):
        assert "scores = logits.softmax(dim=1)  # not calibrated" in text
        assert "Scores from plain timm are not calibrated" in text
        assert "saccade predict" in text[text.index("Scores from plain timm") :]


def test_a_model_without_calibration_has_the_plain_scores(run_of: RunOf) -> None:
    for text in both_texts(run_of(), Calibration(kind="none", n=12)):
        assert "scores = logits.softmax(dim=1)\n" in snippet_of(text).rstrip() + "\n"
        assert "temperature" not in snippet_of(text)
        assert "not calibrated" not in text


def test_the_snippet_lays_transparency_on_white_as_saccade_does(
    run_of: RunOf, tmp_path: Path
) -> None:
    path = tmp_path / "new.png"
    colours_HWC = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    Image.fromarray(colours_HWC).save(path)
    for text in both_texts(run_of(), HOT):
        lines = re.sub(r'"new[^"]*"', repr(str(path)), snippet_of(text)).splitlines()
        own = [line for line in lines if line.startswith(("picture = ", "white = "))]
        found: dict[str, Any] = {"Image": Image, "ImageOps": ImageOps}
        exec("\n".join(own), found)
        wanted_HWC = decode.decode(path.read_bytes()).pixels_HWC
        np.testing.assert_array_equal(np.asarray(found["picture"]), wanted_HWC)


def test_the_snippets_are_python_that_names_all_it_uses(run_of: RunOf) -> None:
    for text in both_texts(run_of(), CURVE):
        names = [n for n in ast.walk(ast.parse(snippet_of(text))) if isinstance(n, ast.Name)]
        brought = {"timm", "torch", "Image", "ImageOps"}  # by its imports
        made = {own.id for own in names if isinstance(own.ctx, ast.Store)}
        assert {own.id for own in names} - made <= brought
        assert made >= {"model", "picture", "logits", "scores"}
