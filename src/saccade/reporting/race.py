"""The race of backbones in words."""

import math

from saccade.reporting.glossary import is_share, score_words
from saccade.reporting.learned import Race
from saccade.reporting.wording import decimals, plural


def race_words(race: Race | None) -> str:
    """Return what the race was and who won it; empty where there was none."""
    if race is None:
        return ""
    chosen = next((one for one in race.candidates if one.chosen), None)
    num = race.num_probed
    if not num:
        why = f"; {chosen.name} was taken: {chosen.why.rstrip('.')}" if chosen else ""
        return (
            f"{plural(len(race.candidates), 'backbone')} stood to choice, and none was tried{why}."
        )
    sample = (
        f"the same {plural(race.num_sample, 'training picture')}"
        if race.num_sample
        else ("the same training pictures")
    )
    how = (
        f"{plural(num, 'backbone')} {'was' if num == 1 else 'were'} tried before anything else: a "
        f"head, the probe, was solved on the features of {sample}, with all stages frozen, and "
        "judged there by cross-validation; "
        "validation and test pictures had no say."
    )
    if chosen is None:
        return how
    why = f" ({chosen.why.rstrip('.')})" if chosen.why else ""
    if not math.isfinite(chosen.score.value):
        return f"{how} {chosen.name} was chosen{why}."
    return (
        f"{how} {chosen.name} was chosen{why}, with a probe {score_words(race.score_name)} of "
        f"{decimals(chosen.score.value, share=is_share(race.score_name))}."
    )
