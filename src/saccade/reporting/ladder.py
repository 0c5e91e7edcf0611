"""The freezing ladder in words and rows: what was tried, kept and undone, and at what price."""

import math
from dataclasses import dataclass

from saccade.evaluation.intervals import Estimate
from saccade.reporting.estimates import p_figure
from saccade.reporting.glossary import is_share, score_words
from saccade.reporting.learned import LearningFacts, Rung
from saccade.reporting.wording import decimals, duration, joined_words, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRow:
    """A line of the ladder's table; the head is the first one."""

    name: str
    kept: bool
    stages: str
    epochs: str
    views: str
    score: Estimate | None
    gain: str
    bounds: str  # of the gain
    p: str
    seconds: float
    at_seconds: float
    verdict: str


def ladder_rows(learning: LearningFacts, num_stages: int | None) -> tuple[LadderRow, ...]:
    """Return a row for the solved head and one for each rung; none where there is no ladder."""
    if not learning.rungs:
        return ()
    rows = [_rung_row(learning, place, num_stages) for place in range(len(learning.rungs))]
    head = learning.head
    if head is not None:
        first = LadderRow(
            name="head",
            kept=True,
            stages=_of(0, num_stages),
            epochs="solved",
            views="1",
            score=_shown(head.score),
            gain="–",
            bounds="",
            p="–",
            seconds=head.seconds,
            at_seconds=head.at_seconds,
            verdict="where the ladder begins" if learning.kept_rung is not None else "kept",
        )
        rows.insert(0, first)
    return tuple(rows)


def ladder_words(learning: LearningFacts, *, has_test: bool) -> tuple[str, ...]:
    """Return the sentences beside the picture of the ladder.

    Args:
        learning: with at least one rung.
        has_test: whether there is a test part.
    """
    n = max(rung.score.n for rung in learning.rungs)
    judges = plural(n, "validation picture") if n else "validation pictures"
    test = (
        "How good the network is in the end, the test part alone says."
        if has_test
        else "There is no test part that could say independently how good the network is."
    )
    half = ""
    if learning.head is not None and "bf16" in learning.head.engine:
        half = (
            " These scores rest on what the frozen stages answered in bf16; the test part was "
            "answered by the network as it ships, in fp32."
        )
    return (
        "First a head was solved on the frozen network. Then rungs let stages learn too, "
        "always from the best network so far. Its gain is how much smaller the losses of the same "
        f"{judges} became. Where one can be 90 % sure of a gain, the rung was kept; otherwise it "
        "was undone.",
        _outcome(learning),
        "The line is the network that would have been used if the run had ended there. Intervals "
        "of scores may overlap and a gain be sure all the same, for it is the same pictures that "
        f"are compared. As they chose the rung, their scores flatter a little. {test}{half}",
    )


def ladder_title(learning: LearningFacts) -> str:
    """Return what the ladder's picture shows, for those who cannot see it."""
    name = score_words(learning.score_name)
    told = [f"{r.name} {'kept' if r.taken else 'undone'}" for r in learning.rungs]
    return (
        f"Validation {name} against the seconds since the run began, from the solved head over "
        f"{plural(len(told), 'rung')}: {joined_words(told)}"
    )


def stages_sentence(
    learning: LearningFacts, *, num_stages: int | None, num_learned: int | None, scratch: bool
) -> str:
    """Return which stages learned and how that was chosen; empty where it was not recorded."""
    if num_stages is None or num_learned is None:
        return ""
    who = _who_learned(num_stages, num_learned)
    if scratch and num_learned == num_stages:
        all_of_it = "The one stage" if num_stages == 1 else f"All {num_stages} stages"
        return f"{all_of_it} and the head learned, from random weights."
    if learning.rungs:
        return f"{who}: {_found(learning)}."
    if num_learned and learning.epochs and not learning.kept_epochs:
        return f"{who} as asked, but no epoch was better than the solved head, which was kept."
    return f"{who}{', as asked' if num_learned and learning.epochs else ''}."


def _found(learning: LearningFacts) -> str:
    """Return what the rungs brought; one that ended early is not said to have brought nothing."""
    kept = [rung.name for rung in learning.rungs if rung.taken]
    undone = [rung for rung in learning.rungs if not rung.taken]
    compared = [rung.name for rung in undone if not rung.why and math.isfinite(rung.low)]
    parts = []
    if kept:
        rest = f", {joined_words(compared)} did not" if compared else ""
        which = "rung" if len(kept) == 1 else "rungs"
        parts.append(
            f"on the freezing ladder the {which} {joined_words(kept)} brought a gain, 90 % "
            f"sure on the validation part{rest}"
        )
    elif compared:
        parts.append(
            f"the freezing ladder tried {joined_words(compared)}, without a gain that is 90 % sure"
        )
    for rung in undone:
        if rung.name not in compared:
            why = f"was not finished ({rung.why})" if rung.why else "could not be judged"
            parts.append(f"{'' if parts else 'on the freezing ladder '}{rung.name} {why}")
    return "; ".join(parts)


def _who_learned(num_stages: int, num_learned: int) -> str:
    if num_learned == 0:
        return f"Only the head learned; the {plural(num_stages, 'stage')} before it are as given"
    if num_learned == num_stages:
        return f"The head and all {plural(num_stages, 'stage')} learned"
    last = "the last" if num_learned == 1 else f"the last {num_learned}"
    return f"The head and {last} of {num_stages} stages learned"


def _outcome(learning: LearningFacts) -> str:
    name = learning.score_name
    kept = [_brought(rung, name) for rung in learning.rungs if rung.taken]
    undone = [_brought(rung, name) for rung in learning.rungs if not rung.taken]
    sentences = []
    if kept:
        sentences.append(f"Kept: {joined_words(kept)}.")
    if undone:
        sentences.append(f"Undone: {joined_words(undone)}.")
    if not kept:
        sentences.append("The network is that of the solved head.")
    return " ".join(sentences)


def _brought(rung: Rung, name: str) -> str:
    told = [f"gain {_signed(rung.gain)}"] if math.isfinite(rung.low) else []
    if rung.taken and math.isfinite(rung.score.value):
        told.append(f"{score_words(name)} {decimals(rung.score.value, share=is_share(name))}")
    return f"{rung.name} ({', '.join([*told, duration(rung.seconds)])})"


def _rung_row(learning: LearningFacts, place: int, num_stages: int | None) -> LadderRow:
    rung = learning.rungs[place]
    run = sum(epoch.rung == place for epoch in learning.epochs)
    compared = math.isfinite(rung.low) and math.isfinite(rung.high)
    return LadderRow(
        name=rung.name,
        kept=rung.taken,
        stages=_of(rung.stages, num_stages),
        epochs=str(rung.epochs) if run in {0, rung.epochs} else f"{run} of {rung.epochs}",
        views=_views(rung),
        score=_shown(rung.score),
        gain=_signed(rung.gain) if compared else "–",
        bounds=f"{_signed(rung.low)} to {_signed(rung.high)}" if compared else "",
        p=p_figure(rung.p) if compared else "–",
        seconds=rung.seconds,
        at_seconds=rung.at_seconds,
        verdict=_verdict(rung, is_last=place == learning.kept_rung),
    )


def _views(rung: Rung) -> str:
    if not rung.cached:
        return "anew"
    return f"{rung.views}, kept" if rung.crop is None else f"{rung.views}, in crops"


def _verdict(rung: Rung, *, is_last: bool) -> str:
    if rung.taken:
        return "kept" if is_last else "kept, and built upon"
    if rung.why:
        return f"undone: {rung.why}"
    if not math.isfinite(rung.low):
        return "undone: it could not be judged"
    if rung.high < 0:
        return "undone: it did harm"
    return "undone: better, but not surely" if rung.gain > 0 else "undone: no better"


def _shown(score: Estimate) -> Estimate | None:
    return score if math.isfinite(score.value) else None


def _of(stages: int, num_stages: int | None) -> str:
    return f"{stages} of {num_stages}" if num_stages else str(stages)


def _signed(gain: float) -> str:
    """Return a gain with four decimals and its sign.

    >>> _signed(0.0412), _signed(-0.2)
    ('+0.0412', '−0.2000')
    """
    return f"{gain:+.4f}".replace("-", "−")
