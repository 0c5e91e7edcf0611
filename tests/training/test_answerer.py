"""Answers put together from what frozen stages said are those of the whole network, or not used."""

import dataclasses
import math

import numpy as np
import pytest
from tests.training.climbs import Climbed, Lessons, Told

from saccade import answerer
from saccade.answerer import Answerer
from saccade.models.inference import predict_logits
from saccade.training.frozen import Asked


def asked(lessons: Lessons, head_only: Climbed, known: Asked) -> tuple[Asked, list[str]]:
    """Return what is taken for the network's answers where `known` is what it is known to say."""
    learned, told = dataclasses.replace(head_only.learned, known=known), Told()
    own = Answerer(head_only.network, lessons.lesson, learned, device_name="cpu", progress=told)
    return own.asked(), told.sentences


def test_what_is_known_is_not_asked_again_where_the_whole_network_says_it_too(
    lessons: Lessons, head_only: Climbed
) -> None:
    known = head_only.learned.known
    assert known is not None
    found, told = asked(lessons, head_only, known)
    assert found is known
    assert told == []


@pytest.mark.parametrize(
    ("factor", "guarded"),
    [(1.01, True), (math.nan, True), (1.01, False)],
    ids=["guard", "guard, no numbers", "negative control"],
)
def test_where_the_whole_network_says_anything_else_it_is_asked_about_every_picture(
    lessons: Lessons,
    head_only: Climbed,
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    guarded: bool,
) -> None:
    known = head_only.learned.known
    assert known is not None
    if not guarded:
        monkeypatch.setattr(answerer, "MAX_DIFFERENCE", math.inf)
    spoiled = dataclasses.replace(known, logits_NK=factor * known.logits_NK)
    found, told = asked(lessons, head_only, spoiled)
    cache, num = lessons.lesson.cache, len(lessons.lesson.catalog)
    right = predict_logits(head_only.network, cache, range(num))
    assert np.allclose(found.logits_NK, right, atol=1e-5) is guarded
    assert found.features_ND.shape == known.features_ND.shape
    assert ["otherwise than the whole" in sentence for sentence in told] == [True] * guarded
