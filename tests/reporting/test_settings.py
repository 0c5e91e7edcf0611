import dataclasses

from saccade.reporting.settings import settings
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import descriptions


def test_every_choice_has_its_meaning() -> None:
    assert set(descriptions()) == {field.name for field in dataclasses.fields(Recipe)}


def test_a_choice_that_differs_from_the_default_is_marked() -> None:
    lines = settings({"epochs": 12, "momentum": 0.9, "widths": [], "nesterov": True})
    assert {line.name: (line.value, line.changed) for line in lines} == {
        "widths": ("–", False),
        "epochs": ("12", True),
        "momentum": ("0.9", False),
        "nesterov": ("yes", False),
    }


def test_a_choice_of_another_version_is_shown_all_the_same() -> None:
    (line,) = settings({"shininess": "2m"})
    assert (line.name, line.value, line.meaning) == ("shininess", "2m", "")
