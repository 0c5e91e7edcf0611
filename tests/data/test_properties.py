"""Trivial properties: a number each, no label among them."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from tests.insight.planted import catalog_of, looks_of, marked, photographs

from saccade.data.properties import CORNERS, FAMILIES, corner, properties_of, sources_of

PICTURES = photographs(40, seed=0, side=64)
LABELS = ["a", "b"] * 20


def test_every_property_has_a_name_a_family_and_a_finite_number() -> None:
    found = properties_of(catalog_of(LABELS), looks_of(PICTURES))
    assert found.values_NP.shape == (40, len(found.columns))
    assert np.isfinite(found.values_NP).all()
    assert len({own.name for own in found.columns}) == len(found.columns)
    assert {own.family for own in found.columns} <= set(FAMILIES)
    assert found.values("size").tolist() == [96 * 96] * 40
    assert found.values("bytes_a_pixel") == pytest.approx([9000 / 96**2] * 40)
    with pytest.raises(KeyError):
        found.values("label")


def test_the_table_is_the_same_again_and_whatever_the_labels_are() -> None:
    looks = looks_of(PICTURES)
    first = properties_of(catalog_of(LABELS), looks)
    other = properties_of(catalog_of(LABELS[::-1]), looks)
    assert np.array_equal(first.values_NP, other.values_NP)
    assert first.columns == other.columns


def test_without_looks_the_file_alone_speaks() -> None:
    found = properties_of(catalog_of(LABELS))
    assert {own.family for own in found.columns} == {"file", "bytes"}
    assert len(properties_of(catalog_of([])).values_NP) == 0


def test_file_kinds_are_columns_of_their_own_where_there_are_several() -> None:
    catalog = catalog_of(LABELS, formats=("JPEG", "PNG") * 20)
    found = properties_of(catalog)
    assert found.values("kind=PNG").tolist() == [0, 1] * 20
    assert all("kind" not in own.name for own in properties_of(catalog_of(LABELS)).columns)


def test_a_folder_that_is_neither_class_nor_part_is_a_source() -> None:
    paths = tuple(
        f"train/{label}/{'north' if row % 3 else 'south'}/{row}.jpg"
        for row, label in enumerate(LABELS)
    )
    found = properties_of(catalog_of(LABELS, paths=paths))
    assert set(found.sources) == {"north/", "south/"}
    assert found.values("source=north/").sum() == 26
    assert not found.source_is_label


def test_the_class_folder_and_the_part_are_no_source() -> None:
    paths = tuple(
        f"{('train', 'val')[row % 2]}/{label}/{row}.jpg" for row, label in enumerate("ab" * 20)
    )
    own = catalog_of(list("ab" * 20), paths=paths)
    assert sources_of(own) == ()
    swapped = dataclasses.replace(own, labels=tuple("ba" * 6 + "ab" * 14), given=own)
    assert sources_of(swapped) == ()  # whose labels were put right still lies in its class folder


def test_the_letters_that_names_begin_with_are_a_source() -> None:
    names = ["IMG_{}.jpg", "DSC{}.jpg", "{}.jpg", "odd-{}.jpg"]
    kinds = [0] * 15 + [1] * 12 + [2] * 10 + [3] * 3
    paths = tuple(
        f"{label}/{names[k].format(row)}"
        for row, (label, k) in enumerate(zip(LABELS, kinds, strict=True))
    )
    sources = sources_of(catalog_of(LABELS, paths=paths))
    assert [sources[0], sources[15], sources[27], sources[37]] == [
        "img…",
        "dsc…",
        "no letters first",
        "other",
    ]


def test_names_that_begin_with_the_class_are_no_source() -> None:
    labels = ["Cat", "dog"] * 20
    paths = tuple(f"{label}/{label.lower()}.{row}.jpg" for row, label in enumerate(labels))
    assert sources_of(catalog_of(labels, paths=paths)) == ()


def test_a_source_that_tells_every_class_is_left_out_and_said() -> None:
    paths = tuple(f"{('clinic', 'hospital')[row % 2]}/{row}.jpg" for row in range(40))
    found = properties_of(catalog_of(LABELS, paths=paths))
    assert found.source_is_label
    assert found.sources[:2] == ("clinic/", "hospital/")
    assert all(own.family != "source" for own in found.columns)
    # what the test part's labels would have said has no say
    mixed = catalog_of([*LABELS[:30], *["b", "a"] * 5], paths=paths)
    assert properties_of(mixed, known_rows=range(30)).source_is_label
    assert not properties_of(mixed).source_is_label


def test_properties_of_many_pictures_take_a_part_of_what_their_thumbnails_would_as_floats() -> None:
    looks = looks_of(PICTURES)
    many = dataclasses.replace(
        looks,
        thumbs_NHW=np.tile(looks.thumbs_NHW, (50, 1, 1)),
        measures={name: np.tile(values, 50) for name, values in looks.measures.items()},
        corners_NCHW=None,
    )
    catalog = catalog_of(LABELS * 50)
    tracemalloc.start()
    properties_of(catalog, many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * many.thumbs_NHW.size * 8


def test_the_plainness_of_a_side_is_seen_though_a_crop_took_two_of_them() -> None:
    framed = PICTURES.copy()
    framed[::2, :3] = (200, 30, 30)  # the upper side alone
    plain = properties_of(catalog_of(LABELS), looks_of(framed)).values("border_plainness")
    assert plain[::2].min() > 0.99
    assert plain[1::2].max() < 0.98


def test_a_mark_is_in_its_corner_and_in_no_other() -> None:
    before, after = looks_of(PICTURES), looks_of(marked(PICTURES, text="by A"))
    changed = {name: np.abs(corner(before, name) - corner(after, name)).max() for name in CORNERS}
    assert changed["bottom right"] > 0.1
    assert [changed[name] for name in CORNERS[:3]] == [0, 0, 0]
    # the Laplacian, from its definition
    cells = after.corners_NCHW[0, 3].astype(np.float64) / 255
    wanted = 4 * cells[5, 5] - cells[4, 5] - cells[6, 5] - cells[5, 4] - cells[5, 6]
    assert corner(after, "bottom right")[0].reshape(16, 16)[5, 5] == pytest.approx(
        np.clip(wanted, -0.15, 0.15)
    )
    some = np.array([4, 1])
    np.testing.assert_array_equal(corner(after, "top left", some), corner(after, "top left")[some])
    assert corner(after, "top left").dtype == np.float32  # 1 KB a picture, of 100,000 too
    with pytest.raises(ValueError, match="no corners"):
        corner(dataclasses.replace(before, corners_NCHW=None), "top left")
