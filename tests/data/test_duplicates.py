"""Clusters of pictures that show the same, and what leaks from part to part through them."""

from dataclasses import replace

import numpy as np
import pytest
from tests.data.test_split import catalog
from tests.planted import texture

from saccade.data import duplicates
from saccade.data.audit import look
from saccade.data.catalog import Catalog
from saccade.data.duplicates import Pair, Twins, clean_test_rows, find_twins, leaks
from saccade.data.looks import Looks, look_at_canvases
from saccade.data.near_duplicates import NearPairs, no_pairs
from saccade.data.split import NEAR_APART, make_split
from saccade.data.task import choose_task, targets


def twins_of(own: Catalog, *pairs: tuple[int, int, float], **more: object) -> Twins:
    """Return twins with these near pairs: first, second, similarity."""
    near = replace(
        no_pairs(),
        pairs_P2=np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2),
        similarity_P=np.array([pair[2] for pair in pairs], np.float32),
        mirrored_P=np.zeros(len(pairs), np.bool_),
        moved_P=np.zeros(len(pairs), np.bool_),
    )
    exact = find_twins(own, None)
    linked = np.concatenate([near.pairs_P2, np.array(chains(exact), np.int64).reshape(-1, 2)])
    cluster_N = duplicates.components(len(own), linked)
    return replace(exact, near=near, cluster_N=cluster_N, why_not="", **more)  # type: ignore[arg-type]


def chains(twins: Twins) -> list[tuple[int, int]]:
    return [(rows[0], row) for rows in twins.exact for row in rows[1:]]


def seen(seeds: list[int]) -> Looks:
    canvases = np.stack([texture(seed, width=64, height=64) for seed in seeds])
    thumbs_NHW, measures = look_at_canvases(canvases)
    return Looks(thumbs_NHW=thumbs_NHW, measures=measures)


def test_equal_bytes_and_equal_looks_are_one_cluster() -> None:
    # 0 and 4 have equal bytes; 4 and 2 show the same; 5 shows something else.
    own = catalog(["a"] * 6, hashes=["x", "1", "2", "3", "x", "5"])
    found = find_twins(own, seen([7, 1, 7, 3, 7, 5]))
    assert found.cluster_N.tolist() == [0, 1, 0, 3, 0, 5]
    assert [(pair.first, pair.second, pair.kind) for pair in found.pairs()] == [
        (0, 4, "exact"),
        (0, 2, "re-encoded"),
    ]
    assert found.exact_cluster_N.tolist() == [0, 1, 2, 3, 0, 5]


def test_pictures_smaller_than_a_thumbnail_are_compared_by_their_bytes_alone() -> None:
    own = catalog(["a"] * 4, widths_px=np.full(4, 28, np.int32))
    found = find_twins(own, seen([7, 7, 7, 7]))
    assert found.cluster_N.tolist() == [0, 1, 2, 3]
    assert found.num_small == 4


def test_a_million_pictures_are_not_compared_pair_by_pair_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "MAX_PICTURES", 3)
    own = catalog(["a"] * 4)
    found = find_twins(own, seen([7, 7, 7, 7]))
    assert found.why_not == "only their bytes were compared, for there are more than 3 of them"
    assert found.cluster_N.tolist() == [0, 1, 2, 3]


def test_a_cluster_of_a_tenth_of_all_pictures_is_not_believed() -> None:
    own = catalog(["a", "b"] * 30)
    looks = seen([*range(100, 145), *[7] * 15])
    found = find_twins(own, looks)
    assert found.cluster_N.tolist() == list(range(60))
    assert found.too_large == (tuple(range(45, 60)),)
    (finding,) = [
        one for one in look(own, choose_task(own), None, twins=found) if "alike" in one.kind
    ]
    assert finding.sentence == (
        "15 of 60 pictures are linked by looking alike: 45.jpg, 46.jpg, 47.jpg, 48.jpg, 49.jpg "
        "and 10 more. That is too many for copies, so they were not kept together."
    )


@pytest.mark.parametrize("links", ["within what was not believed", "to a cluster too large"])
def test_pairs_found_later_do_not_bring_look_alikes_back(links: str) -> None:
    """Features find digits, X-rays and goods on white alike too, and no sooner copies."""
    own = catalog(["a"] * 60)
    large = tuple(range(45, 60))
    if links == "to a cluster too large":
        chain = [(row, row + 1, 0.9) for row in range(9)]  # ten pictures: still believed
        twins, more = twins_of(own, *chain), twins_of(own, (9, 20, 0.9), (30, 31, 0.95))
    else:
        twins = twins_of(own, too_large=(large,))
        more = twins_of(own, (45, 46, 0.9), (30, 31, 0.95))
    found = duplicates.with_pairs(twins, more.near)
    assert found.cluster_N[31] == 30  # the other pair is believed
    assert [found.cluster_N[row] for row in (20, 45, 46)] == [20, 45, 46]
    assert found.cluster_N[:10].tolist() == twins.cluster_N[:10].tolist()
    assert len(found.near.pairs_P2) == len(twins.near.pairs_P2) + 1


def test_each_judged_picture_leaks_once_by_the_pair_that_is_most_alike() -> None:
    parts = ["train", "train", "validation", "test", "test", "test"]
    own = catalog(["a"] * 6, parts=parts, hashes=["x", "1", "2", "x", "4", "5"])
    found = leaks(twins_of(own, (1, 2, 0.9), (1, 4, 0.95), (2, 4, 0.97)), parts)
    assert [(one.judged, one.known, one.kind, round(one.similarity, 2)) for one in found] == [
        (3, 0, "exact", 1.0),
        (4, 2, "re-encoded", 0.97),
        (2, 1, "re-encoded", 0.9),
    ]


def test_a_chain_of_test_pictures_leaks_by_its_one_link_to_train() -> None:
    parts = ["train", "test", "test"]
    own = catalog(["a"] * 3, parts=parts)
    twins = twins_of(own, (0, 1, 0.9), (1, 2, 0.99))
    found = leaks(twins, parts)
    assert [(one.judged, one.known, round(one.similarity, 2)) for one in found] == [
        (1, 0, 0.9),
        (2, 0, 0.9),
    ]
    assert clean_test_rows(twins, parts) == []


def test_clean_test_rows_have_nothing_like_them_in_train_or_validation() -> None:
    parts = ["train", "validation", "test", "test", "test", "test"]
    own = catalog(["a"] * 6, parts=parts, hashes=["x", "1", "x", "3", "4", "4"])
    assert clean_test_rows(twins_of(own, (1, 3, 0.9)), parts) == [4, 5]


def test_near_copies_stay_in_one_part_where_parts_are_drawn() -> None:
    own = catalog(["a"] * 45 + ["b"] * 45)
    twins = twins_of(own, *[(first, first + 1, 0.9) for first in range(0, 90, 3)])
    task = choose_task(own)
    for seed in range(10):
        split = make_split(own, task, targets(own, task), seed=seed, twins=twins)
        assert all(split.parts[first] == split.parts[first + 1] for first in range(0, 90, 3))
        assert leaks(twins, split.parts) == []
    without = make_split(own, task, targets(own, task), seed=0)  # the negative control
    assert leaks(twins, without.parts) != []


def test_near_copies_do_not_keep_a_class_from_being_split_but_then_it_is_severe() -> None:
    own = catalog(["a"] * 20 + ["b"] * 4)
    twins = twins_of(own, (20, 21, 0.9), (21, 22, 0.9), (22, 23, 0.9))
    task = choose_task(own)
    split = make_split(own, task, targets(own, task), seed=0, twins=twins)
    assert any(note.startswith(f"{NEAR_APART} in 'b'") for note in split.notes)
    assert "leak" in {
        one.kind for one in look(own, task, split, twins=twins) if one.severity == "severe"
    }


def test_some_of_the_pictures_keep_what_a_missing_one_linked() -> None:
    own = catalog(["a"] * 5, hashes=["x", "1", "x", "3", "4"])
    twins = twins_of(own, (2, 3, 0.9), (1, 4, 0.95)).only([0, 1, 3, 4])
    assert twins.cluster_N.tolist() == [0, 1, 0, 1]
    assert twins.exact == ()
    assert [(pair.first, pair.second) for pair in twins.pairs()] == [(1, 3)]


def test_near_copies_and_those_with_two_labels_are_found() -> None:
    own = catalog(["a"] * 25 + ["b"] * 25)
    twins = twins_of(own, (3, 30, 0.9))
    found = {one.kind: one for one in look(own, choose_task(own), None, twins=twins)}
    assert found["near-duplicate"].sentence == (
        "1 pair of pictures shows the same in other bytes (1 re-encoded; similarity from 0.85): "
        "3.jpg = 30.jpg (re-encoded, 0.90)."
    )
    assert found["near-conflict"].sentence == (
        "1 of the pairs that show the same has two labels: 3.jpg (a) and 30.jpg (b)."
    )


def test_where_look_alikes_cannot_be_told_from_copies_that_is_said() -> None:
    own = catalog(["a"] * 25 + ["b"] * 25)
    near: NearPairs = replace(no_pairs(), threshold=np.inf, num_plain=2)
    twins = replace(find_twins(own, None), near=near)
    found = {one.kind: one.sentence for one in look(own, choose_task(own), None, twins=twins)}
    assert found["look-alikes"].startswith("Many of the pictures look so alike")
    assert found["plain"].startswith("2 of 50 pictures show too little to be compared")


def test_a_pair_says_what_was_done_to_it() -> None:
    near = replace(
        no_pairs(),
        pairs_P2=np.array([[0, 1], [2, 3], [4, 5]]),
        similarity_P=np.array([0.9, 0.99, 0.95], np.float32),
        mirrored_P=np.array([True, False, False]),
        moved_P=np.array([True, False, True]),
    )
    twins = replace(find_twins(catalog(["a"] * 6), None), near=near)
    assert [pair.kind for pair in twins.pairs()] == ["re-encoded", "cropped", "mirrored"]
    assert isinstance(next(twins.pairs()), Pair)


def test_copies_that_a_left_out_picture_linked_still_leak() -> None:
    """0 and 1 have equal bytes, 2 shows the same as 0; a correction leaves 0 out."""
    own = catalog(["a"] * 3, hashes=["x", "x", "2"])
    twins = twins_of(own, (0, 2, 0.9))
    (leak,) = leaks(twins.only([1, 2]), ["train", "test"])
    assert (leak.judged, leak.known, leak.kind) == (1, 0, "re-encoded")


def test_one_set_of_labels_in_another_order_is_no_second_label() -> None:
    own = catalog(["cat;dog", "dog;cat", "cat", "dog"], hashes=["x", "x", "2", "3"])
    task = choose_task(own, requested="multilabel")
    kinds = {found.kind for found in look(own, task, twins=find_twins(own, None))}
    assert "duplicate" in kinds
    assert "conflict" not in kinds
    other = catalog(["cat;dog", "cat", "cat", "dog"], hashes=["x", "x", "2", "3"])
    task = choose_task(other, requested="multilabel")
    kinds = {found.kind for found in look(other, task, twins=find_twins(other, None))}
    assert "conflict" in kinds


def test_only_the_class_that_is_too_small_has_its_near_copies_let_apart() -> None:
    own = catalog(["a"] * 60 + ["b"] * 60 + ["c"] * 3)
    pairs = [(row, row + 60, 0.9) for row in range(60)]
    twins = twins_of(own, *pairs, (120, 121, 0.9))
    task = choose_task(own)
    split = make_split(own, task, targets(own, task), seed=0, twins=twins)
    assert all(split.parts[first] == split.parts[second] for first, second, _ in pairs)
    assert {split.parts[row] for row in (120, 121, 122)} == {"train", "validation", "test"}
    (note,) = [note for note in split.notes if note.startswith(NEAR_APART)]
    assert note == f"{NEAR_APART} in 'c': they have too few that differ for a split."
