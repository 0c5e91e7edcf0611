"""A beginning of the drawn order is like the whole, and what is not drawn is listed."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.data.catalog import Candidate, Listing
from saccade.data.sampling import FEWEST_A_STRATUM, Limit, drawn_order
from saccade.data.scan import scan


class NoSource:
    def read(self, path: str) -> bytes:
        raise NotImplementedError(path)


def listing(labels: dict[str, int], *, groups: int = 0) -> Listing:
    rows = [
        Candidate(path=f"{label}/{n}", label=label, group=f"{label}{n % groups}" if groups else "")
        for label, num in labels.items()
        for n in range(num)
    ]
    return Listing(place="x", layout="", source=NoSource(), candidates=tuple(rows))


@pytest.mark.parametrize("num", [10, 37, 120])
def test_every_beginning_holds_its_share_of_each_class(num: int) -> None:
    whole = {"a": 300, "b": 90, "c": 10}
    own = listing(whole)
    order, num_strata = drawn_order(own, seed=3)
    assert num_strata == 3
    assert sorted(order) == list(range(400))
    found = Counter(own.candidates[position].label for position in order[:num])
    for label, count in whole.items():
        assert abs(found[label] - num * count / 400) <= 1


def test_the_order_follows_from_the_seed_alone() -> None:
    own = listing({"a": 40, "b": 40})
    assert drawn_order(own, seed=0) == drawn_order(own, seed=0)
    assert drawn_order(own, seed=0) != drawn_order(own, seed=1)


def test_a_groups_pictures_follow_one_another() -> None:
    own = listing({"a": 30}, groups=5)
    order, _ = drawn_order(own, seed=0)
    groups = [own.candidates[position].group for position in order]
    assert [name for name, _ in itertools.groupby(groups)] == list(dict.fromkeys(groups))
    assert len(set(groups)) == 5


def test_a_limit_lists_what_was_not_drawn_and_the_counts_add_up(
    image_folder: Callable[..., Path],
) -> None:
    catalog = scan(image_folder(3, 8), limit=Limit(num=12))
    assert Counter(catalog.labels) == dict.fromkeys(catalog.classes(), 4)
    assert catalog.num_looked_at == 12
    assert Counter(own.reason for own in catalog.skipped) == {"limit": 12}
    assert catalog.num_files == len(catalog) + len(catalog.skipped) == 24
    (finding,) = [own for own in catalog.findings if own.kind == "limit"]
    assert finding.sentence == (
        "Only 12 of 24 pictures were looked at, drawn evenly (--limit, "
        "--budget); every number is about these."
    )


def test_after_the_deadline_no_more_than_a_split_needs_is_looked_at() -> None:
    late = Limit(deadline=time.monotonic() - 1)
    assert late.is_over(2 * FEWEST_A_STRATUM, 2)
    assert not late.is_over(2 * FEWEST_A_STRATUM - 1, 2)
    assert not Limit().is_over(10**9, 2)


@pytest.mark.parametrize("columns", [True, False])
def test_several_labels_a_picture_count_by_label_so_that_a_deadline_ends_the_look(
    columns: bool,
) -> None:
    # 10 labels in 512 of their combinations: 512 * 12 pictures would be all of them.
    marks = [f"{number:010b}" for number in range(0, 1024, 2)]
    labels = (
        {"|".join(own): 1 for own in marks}
        if columns
        else {";".join(chr(97 + n) for n in range(10) if own[n] == "1"): 1 for own in marks}
    )
    own = replace(
        listing(labels),
        label_name="" if columns else "tags",
        label_columns=tuple("abcdefghij") if columns else (),
    )
    order, num_strata = drawn_order(own, seed=0)
    assert num_strata == 9 + 1  # the tenth never occurs, and one picture has no label
    assert sorted(order) == list(range(512))


def test_numbers_are_one_stratum_so_that_a_deadline_ends_the_look() -> None:
    own = listing({f"{n / 10}": 1 for n in range(200)}, groups=5)
    _, num_strata = drawn_order(replace(own, label_name="age"), seed=0)
    assert num_strata == 1
    assert drawn_order(own, seed=0)[1] == 200  # folders are classes, whatever they are called
