"""Everything the page shows, as values: no files are read and nothing is drawn here.

All texts are as the user gave them; escaping is the page's work. Pictures are JPEG bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saccade.data.catalog import Finding, Skipped
from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.intervals import Estimate
from saccade.reporting.learned import LearningFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture as the network sees it, small; `jpeg` is empty where the file is gone."""

    name: str  # the file, as `store.encode_name` writes it; for a preview, what was done to it
    jpeg: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Some pictures that belong together: a class, or one kind of augmentation."""

    caption: str
    note: str  # "12 of 640 in train"; may be empty
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What was met on disk, what was left out, and what was noticed."""

    place: str = ""
    layout: str = ""
    num_files: int = 0
    num_used: int = 0
    label_columns: tuple[str, ...] = ()  # whose marks the labels are; () = the labels are names
    skipped: tuple[Skipped, ...] = ()
    findings: tuple[Finding, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFacts:
    """Which pictures taught, chose and judged."""

    seed: int | None = None
    notes: tuple[str, ...] = ()
    is_drawn: bool = True  # of some picture the part follows from the seed
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # part -> class -> n
    sizes: Mapping[str, int] = field(default_factory=dict)  # part -> pictures
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A row of the layer table; `flops` counts a multiplication and an addition as two."""

    name: str
    kind: str
    shape: str
    parameters: int
    flops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The network, where its weights came from, and what it does to a picture first."""

    name: str = ""
    num_parameters: int | None = None
    num_trainable: int | None = None
    num_stages: int | None = None  # beside the head
    num_learned: int | None = None  # stages that learned, from the end
    weights_source: str = ""
    weights_licence: str = ""
    weights_sha256: str = ""
    preprocess: tuple[tuple[str, str], ...] = ()
    input_px: int = 0  # 0 where it is not known
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two classes of which one was taken for the other."""

    truth: str
    prediction: str
    count: int
    num_truth: int  # pictures of the true class in this part
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong answer: the surest, or for regression the farthest off."""

    picture: Picture
    truth: str
    prediction: str
    truth_score: str = ""  # of the true class, where scores are known
    score: str = ""  # of the answer
    remark: str = ""  # "off by +3.2", or which label was missed


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCount:
    """Multi-label: what became of one label's pictures in the judged part."""

    label: str
    found: int  # true positives
    missed: int  # false negatives
    added: int  # false positives
    absent: int  # true negatives


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultFacts:
    """How good, and where wrong; every number is of the part named here."""

    part: str = ""  # "test", or "validation" where there is no test; "" = nothing judged
    metrics: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)  # part -> name
    has_answers: bool = False  # those to single pictures of it are known, with the truth
    confusion: np.ndarray | None = None  # int64 (K, K), rows = truth, columns = prediction
    pairs: tuple[Pair, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    num_wrong: int = 0  # of the judged part, before the list is cut; regression: 0
    label_counts: tuple[LabelCount, ...] = ()
    truth: np.ndarray | None = None  # regression: float64 (N,)
    prediction: np.ndarray | None = None  # regression: float64 (N,)
    bias: Estimate | None = None  # regression: mean of prediction - truth

    @property
    def judged(self) -> Mapping[str, Estimate]:
        """The metrics of the judged part; empty where nothing was judged."""
        return self.metrics.get(self.part, {})

    def weakest(self, names: Sequence[str]) -> list[str]:
        """Return the classes by rising recall in the judged part; unknown ones last."""

        def recall(name: str) -> float:
            own = self.judged.get(f"recall[{name}]")
            return own.value if own is not None and math.isfinite(own.value) else math.inf

        return sorted(names, key=lambda name: (recall(name), name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the recipe."""

    name: str
    value: str
    meaning: str
    changed: bool  # differs from the default


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question about the run that its own files answer."""

    holds: bool
    sentence: str
    anchor: str = ""  # of what it repeats further down the page
    is_severe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing that would probably help, and the numbers that say so."""

    sentence: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyFacts:
    """One study, ready to be shown."""

    name: str
    section: str
    view: Mapping[str, Any]

    @property
    def template(self) -> str:
        """The partial that shows it."""
        return f"study_{self.name}.html"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """A finished or unfinished run, ready to be shown."""

    name: str
    folder: str  # as it is written in the commands of the page
    state: str  # "finished", or what it was doing when it ended
    error: str  # what stopped an unfinished run; may be empty
    has_model: bool
    summary: str
    version: str
    task: Task
    data: DataFacts
    split: SplitFacts
    model: ModelFacts
    learning: LearningFacts
    results: ResultFacts
    examples: tuple[Gallery, ...] = ()
    preview: tuple[Gallery, ...] = ()
    checks: tuple[Check, ...] = ()
    advice: tuple[Advice, ...] = ()
    recipe: tuple[Setting, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    machine: tuple[tuple[str, str], ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    resumed: bool = False  # it was stopped once and went on: `seconds` are those since then
    augments: bool = False  # its recipe changes the pictures that steps learn from
    seed: int | None = None
    gaps: tuple[str, ...] = ()  # what could not be shown, and why
    studies: tuple[StudyFacts, ...] = ()
    calibration: Calibration | None = (
        None  # of the model's scores; None = as the network gives them
    )
    left_out: tuple[str, ...] = ()  # studies that say nothing about this run, and why
