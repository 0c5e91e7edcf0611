import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.reporting.collect import collect
from saccade.reporting.facts import Check

RunOf = Callable[..., Path]


def checks_of(run: Path) -> tuple[Check, ...]:
    return collect(run, picture=lambda path: None).checks


def doubts(run: Path) -> list[str]:
    return [check.sentence for check in checks_of(run) if not check.holds]


def edit_run(run: Path, section: str, **fields: object) -> None:
    content = json.loads((run / "run.json").read_text())
    content[section].update(fields)
    (run / "run.json").write_text(json.dumps(content))


def rewrite(table: Path, change: Callable[[list[list[str]]], None]) -> None:
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_sound_run_raises_no_doubt(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    assert doubts(run) == []
    sentences = [check.sentence for check in checks_of(run)]
    assert sentences[0] == (
        "Every file is accounted for: 1,208 files found, 1,200 used, 8 left out with a reason."
    )
    assert "No picture lies in two parts (compared by content hash)." in sentences


@pytest.mark.parametrize("num_files", [1207, 1300])
def test_counts_that_do_not_add_up_are_told(run_of: RunOf, num_files: int) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    edit_run(run, "data", num_files=num_files)
    assert doubts(run) == [
        f"The counts do not add up: 1,200 used and 8 left out are not the {num_files:,} found."
    ]


def test_parts_that_do_not_add_up_are_told(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    rewrite(run / "split.csv", lambda rows: rows.pop())
    assert doubts(run) == [
        "The counts do not add up: The parts hold 1,199 pictures together, not 1,200."
    ]


def test_a_picture_in_two_parts_is_found_by_its_content(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)

    def plant(rows: list[list[str]]) -> None:
        train = next(row for row in rows[1:] if row[2] == "train")
        test = next(row for row in rows[1:] if row[2] == "test")
        test[1] = train[1]

    rewrite(run / "predictions.csv", plant)
    assert doubts(run) == [
        "1 picture lies in more than one part with the same content, so the judging part is "
        "not all new to the network."
    ]


def test_a_group_in_two_parts_is_found(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)

    def plant(rows: list[list[str]]) -> None:
        for part in ("train", "test"):
            next(row for row in rows[1:] if row[2] == part)[3] = "patient 7"

    rewrite(run / "split.csv", plant)
    assert doubts(run) == ["1 group lies in more than one part."]


def test_copies_in_two_parts_are_called_so(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)

    def plant(rows: list[list[str]]) -> None:
        for part in ("train", "test"):
            next(row for row in rows[1:] if row[2] == part)[3] = "same:0123456789ab"

    rewrite(run / "split.csv", plant)
    assert doubts(run) == ["1 set of copies lies in more than one part."]


def test_a_class_without_test_pictures_is_named(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1, absent_from_test="rose")
    assert doubts(run) == ["No test picture shows rose, so nothing is known about it."]


def test_few_test_pictures_are_named_and_the_wide_interval_too(run_of: RunOf) -> None:
    run = run_of(num_pictures=90)
    told = " ".join(doubts(run))
    assert "daisy, rose and tulip have fewer than 30 test pictures" in told
    assert "which is wide" in told


def test_no_better_than_the_majority_class_is_a_doubt(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.99)
    assert any(s.startswith("It is not surely better than always naming") for s in doubts(run))
