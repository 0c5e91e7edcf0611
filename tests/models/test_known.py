"""What is known of a network beforehand is what timm says."""

import pytest

from saccade.models import backbones
from saccade.models.known import KNOWN, known_preprocess


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("img_size", [0, 128])
def test_what_is_known_is_what_timm_says(name: str, img_size: int) -> None:
    if name == "inception_v3" and img_size == 128:
        img_size = 160
    said = backbones.preprocess(backbones.find(name), img_size=img_size, fit="crop")
    assert known_preprocess(name, img_size=img_size, fit="crop") == said


def test_of_other_networks_nothing_is_known() -> None:
    assert known_preprocess("resnet26d", img_size=0, fit="crop") is None
