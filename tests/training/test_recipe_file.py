"""Recipes as files: nothing is lost, and nothing wrong gets through."""

from dataclasses import fields
from pathlib import Path

import pytest

from saccade.data.corrections import correction_tables
from saccade.runtime.errors import UsageError
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import (
    CHOICES,
    RANGES,
    descriptions,
    make_recipe,
    read_recipe,
    write_recipe,
)

OTHER = Recipe(
    data='odd "name"\\with\nall',
    exclude=("a", "ü"),
    widths=(8, 16),
    lr=0.003,
    augment=False,
    unfreeze="3",
    tolerance=1e-07,
)


@pytest.mark.parametrize("recipe", [Recipe(), OTHER])
def test_a_recipe_comes_back_from_its_file(recipe: Recipe, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", recipe)
    assert read_recipe(tmp_path / "recipe.toml") == recipe


def test_flags_override_the_file(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", OTHER)
    assert read_recipe(tmp_path / "recipe.toml", lr=0.1) == OTHER.replace(lr=0.1)


def test_every_field_is_described() -> None:
    assert list(descriptions()) == [field.name for field in fields(Recipe)]
    assert set(CHOICES) | set(RANGES) <= set(descriptions())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"epoch": 3},
            "'epoch' is not a setting of saccade.\n  where: r.toml\n  fix:   did you mean epochs?",
        ),
        (
            {"epochs": "3"},
            "'epochs' should be a whole number, not \"3\".\n  where: r.toml\n"
            "  fix:   Passes over the training part; 0 = 4 a rung (in crops 6), --unfreeze K: "
            "10, else 30 to 200.",
        ),
        (
            {"opt": "adamm"},
            "--opt must be one of sgd, adam, adamw (did you mean adam?); it is adamm.\n"
            "  where: r.toml\n  fix:   sgd, adam or adamw.",
        ),
        (
            {"drop": 1.0},
            "--drop must be 0 to 0.95; it is 1.0.\n  where: r.toml\n"
            "  fix:   Dropout before the output layer, 0-0.95.",
        ),
        (
            {"kernel": 4},
            "--kernel must be odd; it is 4.\n  where: r.toml\n"
            "  fix:   cnn: side of the convolution kernels in pixels, odd, 1-11.",
        ),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_recipe(values, where="r.toml")
    assert str(caught.value) == message


@pytest.mark.parametrize("unfreeze", ["half", "-1", "1.5", ""])
def test_unfreeze_takes_auto_all_or_a_number(unfreeze: str) -> None:
    with pytest.raises(UsageError, match="--unfreeze must be"):
        make_recipe({"unfreeze": unfreeze}, where="r.toml")


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_a_rate_that_is_no_rate_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="--lr must be 0 or more"):
        make_recipe({"lr": value}, where="r.toml")


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("epochs: 3")
    with pytest.raises(UsageError, match="is not TOML"):
        read_recipe(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    "data", ["bilder 📷", "𠮷野/写真", 'a "b" \\ c', "a\x7fb\tc\nd", "größe\x85"]
)
def test_any_name_that_unicode_holds_is_read_back(tmp_path: Path, data: str) -> None:
    """JSON writes a camera as two halves of a character, which TOML refuses."""
    write_recipe(tmp_path / "recipe.toml", Recipe(data=data, exclude=(data,)))
    found = read_recipe(tmp_path / "recipe.toml")
    assert (found.data, found.exclude) == (data, (data,))


def test_a_name_that_is_no_unicode_can_be_written_and_the_rest_is_read(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", Recipe(data="pictures\udcff", epochs=3))
    assert read_recipe(tmp_path / "recipe.toml").epochs == 3


def test_places_are_found_from_above_the_recipe_where_they_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/photos", "here/runs/one", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "here" / "fixes.csv").touch()
    path = tmp_path / "here" / "runs" / "one" / "recipe.toml"
    write_recipe(path, Recipe(data="photos", corrections="fixes.csv", weights="gone.safetensors"))
    monkeypatch.chdir(tmp_path / "here")
    assert read_recipe(path).data == "photos"
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = read_recipe(path)
    assert Path(found.data) == tmp_path / "here" / "photos"
    assert Path(found.corrections) == tmp_path / "here" / "fixes.csv"
    assert found.weights == "gone.safetensors"  # nowhere, so the error names what was written
    assert read_recipe(path, data="photos").data == "photos"  # a flag means what it says


def test_a_run_that_is_called_like_its_data_is_not_taken_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As runs are called by default: photos/ makes runs/photos."""
    (tmp_path / "photos").mkdir()
    folder = tmp_path / "runs" / "photos"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    write_recipe(folder / "recipe.toml", Recipe(data="photos/"))
    for here in (tmp_path.parent, tmp_path / "runs", folder):
        monkeypatch.chdir(here)
        assert Path(read_recipe(folder / "recipe.toml").data) == tmp_path / "photos"


def test_each_of_several_tables_is_found_wherever_commas_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "with,comma"
    (root / "runs" / "one").mkdir(parents=True)
    for name in ("a.csv", "b,c.csv"):
        (root / name).touch()
    path = root / "runs" / "one" / "recipe.toml"
    write_recipe(path, Recipe(data="photos,2024", corrections="a.csv, b,c.csv"))
    monkeypatch.chdir(tmp_path)
    found = read_recipe(path)
    assert found.data == "photos,2024"
    assert correction_tables(found.corrections) == [root / "a.csv", root / "b,c.csv"]


@pytest.mark.parametrize("data", ["", "auto", "none", "a\0b", "x" * 5000])
def test_what_names_no_place_is_left_as_it_is(tmp_path: Path, data: str) -> None:
    write_recipe(tmp_path / "recipe.toml", Recipe(data=data))
    assert read_recipe(tmp_path / "recipe.toml").data == data
