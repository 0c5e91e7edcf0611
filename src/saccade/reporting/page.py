"""From facts to one HTML file that needs no network, no script and no other file."""

import base64
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from saccade.reporting import glossary, tables, wording
from saccade.reporting.curves import learning_figures, stretches
from saccade.reporting.examples import preview_galleries
from saccade.reporting.facts import Facts, Picture
from saccade.reporting.figures import regression_figures
from saccade.reporting.ladder import ladder_rows, ladder_words, stages_sentence
from saccade.reporting.ladder_chart import ladder_chart
from saccade.reporting.pictures import Album
from saccade.reporting.plain_timm import literal, outputs_meaning, snippet
from saccade.reporting.race import race_words
from saccade.reporting.sparks import heat_levels, heat_map, interval_bar, share_bar
from saccade.reporting.study_robustness import not_compared
from saccade.reporting.svg import Svg
from saccade.runtime.store import write_text

MAX_NUMBERED_CLASSES = 30
"A confusion matrix up to this size is a table of numbers; above, a map and the worst classes."
MAX_BARS = 60
MAX_OPEN_ROWS = 30


def write_page(facts: Facts, path: Path) -> None:
    """Write the report, whole or not at all.

    Raises:
        ResourceError: the file cannot be written (E401).
    """
    write_text(path, render(facts))


def render(facts: Facts) -> str:
    """Return the report as HTML.

    Names of classes and files are hostile until shown otherwise, so there are two guards, each
    enough alone: every text is escaped, and the content security policy allows no script at
    all, no request, and only the style sheet whose hash it names.
    """
    environment = _environment()
    style = environment.get_template("page.css").render()
    return environment.get_template("page.html").render(
        facts=facts,
        policy=content_policy(style),
        style=Svg(style),
        confusion=_confusion(facts),
        figures=learning_figures(facts),
        stretches=stretches(facts.learning),
        stages=_stages(facts),
        ladder=_ladder(facts),
        race_words=race_words(facts.learning.race),
        scatters=regression_figures(facts),
        open_rows=MAX_OPEN_ROWS,
        with_bars=len(facts.task.classes) <= MAX_BARS,
    )


def write_preview_page(
    previews: Sequence[tuple[str, Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]]], path: Path
) -> None:
    """Write a page that shows what the augmentation does to some of the user's own pictures.

    Args:
        previews: a name each, with rows of (caption, uint8 HWC pictures).
        path: the HTML file.

    Raises:
        ResourceError: the file cannot be written (E401).
    """
    album = Album(lambda _path: None)
    shown = [(name, preview_galleries(rows, album)) for name, rows in previews]
    environment = _environment()
    style = environment.get_template("page.css").render()
    html = environment.get_template("preview.html").render(
        previews=shown, policy=content_policy(style), style=Svg(style)
    )
    write_text(path, html)


def content_policy(style: str) -> str:
    """Return the content security policy under which a page with this style sheet works."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("saccade.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(shell=shlex.quote, literal=literal)
    environment.globals.update(
        g=glossary,
        t=tables,
        w=wording,
        snippet=snippet,
        outputs_meaning=outputs_meaning,
        not_compared=not_compared,
        interval_bar=interval_bar,
        share_bar=share_bar,
        data_uri=_data_uri,
    )
    return environment


def _shown(value: object) -> object:
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return wording.visible(value)
    return value


def _data_uri(picture: Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}"


def _stages(facts: Facts) -> str:
    return stages_sentence(
        facts.learning,
        num_stages=facts.model.num_stages,
        num_learned=facts.model.num_learned,
        scratch=facts.model.weights_source.startswith("none"),
    )


def _ladder(facts: Facts) -> dict[str, object] | None:
    learning = facts.learning
    if not learning.rungs:
        return None
    return {
        "chart": ladder_chart(learning, total_seconds=tables.total_seconds(facts)),
        "words": ladder_words(learning, has_test="test" in facts.split.sizes),
        "rows": ladder_rows(learning, facts.model.num_stages),
    }


def _confusion(facts: Facts) -> dict[str, object] | None:
    counts_KK = facts.results.confusion
    if counts_KK is None:
        return None
    names = facts.task.classes
    shown, matrix = tables.confusion_view(counts_KK, names, limit=MAX_NUMBERED_CLASSES)
    is_large = len(names) > MAX_NUMBERED_CLASSES
    title = f"Confusion matrix of {len(names)} classes; the numbers are in the table below"
    return {
        "names": shown,
        "rows": matrix.tolist(),
        "levels": heat_levels(matrix).tolist(),
        "map": heat_map(counts_KK, title=title) if is_large else None,
        "n": int(counts_KK.sum()),
    }
