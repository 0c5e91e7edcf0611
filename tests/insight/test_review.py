"""The blind review: what its file and its pictures tell, and what they do not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.insight.labelled import (
    CLASSES,
    answered,
    evidence_of,
    numbers,
    rows_of,
    sure_of,
    taught,
    write_pictures,
    write_table,
)

from saccade.insight import review as review_module
from saccade.insight.evidence import Evidence
from saccade.insight.review import review_rows, write_review
from saccade.insight.suspects import write_suspects
from saccade.lesson import Lesson

TRUTH = np.arange(150) % 3
HARD = tuple(range(0, 150, 4))  # what the network says otherwise than the label


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    labels = [CLASSES[k] for k in TRUTH]
    return taught(write_pictures(tmp_path_factory.mktemp("review") / "photos", labels))


def finished(lesson: Lesson) -> Evidence:
    said_N = TRUTH[numbers(lesson)].copy()
    hard = np.isin(numbers(lesson), HARD)
    said_N[hard] = (said_N[hard] + 1) % 3
    return answered(evidence_of(lesson, None), sure_of(said_N, lesson.task))


def test_half_of_the_pictures_are_contradicted_and_all_are_of_the_test_part(lesson) -> None:
    rows = review_rows(finished(lesson))
    assert {lesson.split.parts[row] for row in rows} == {"test"}
    own = np.isin(numbers(lesson)[rows], HARD)
    in_test = np.isin(numbers(lesson)[lesson.split.rows("test")], HARD).sum()
    assert own.sum() == in_test >= 2
    assert len(rows) == 2 * in_test
    assert len(set(rows)) == len(rows)


def test_the_order_tells_nothing_and_follows_from_the_seed(lesson) -> None:
    evidence = finished(lesson)
    rows = review_rows(evidence)
    assert rows == review_rows(evidence)
    against = set(np.flatnonzero(np.isin(numbers(lesson), HARD)).tolist())
    order = [row in against for row in rows]
    assert order != sorted(order, reverse=True)
    assert rows != sorted(rows)


def test_the_file_holds_neither_label_nor_answer_nor_the_picture_s_name(
    lesson, tmp_path: Path
) -> None:
    evidence = finished(lesson)
    write_review(tmp_path, evidence)
    text = (tmp_path / "review.csv").read_text()
    assert not any(name in text for name in (*CLASSES, "photos", ".png"))
    rows = rows_of(tmp_path / "review.csv")
    assert list(rows[0]) == ["file", "label", "content", "confirmed"]
    assert {own["label"] for own in rows} == {""}
    for own, row in zip(rows, review_rows(evidence), strict=True):
        assert own["content"] == lesson.catalog.hashes[row]
        original = Path(lesson.recipe.data) / lesson.catalog.paths[row]
        with Image.open(tmp_path / own["file"]) as shown, Image.open(original) as kept:
            assert not shown.getexif()
            apart = np.asarray(shown, np.float64) - np.asarray(kept)
        assert np.abs(apart).mean() < 60  # the same picture, through JPEG


def test_filled_in_it_is_a_table_of_corrections(lesson, tmp_path: Path) -> None:
    evidence = finished(lesson)
    write_review(tmp_path, evidence)
    rows = rows_of(tmp_path / "review.csv")
    row = review_rows(evidence)[0]
    other = next(name for name in CLASSES if name != lesson.catalog.labels[row])
    rows[0]["label"] = other
    path = write_table(tmp_path / "r.csv", list(rows[0]), [list(own.values()) for own in rows])
    again = taught(Path(lesson.recipe.data), corrections=str(path))
    assert again.catalog.labels[row] == other
    assert again.split.parts == lesson.split.parts
    assert (
        sum(a != b for a, b in zip(again.catalog.labels, lesson.catalog.labels, strict=True)) == 1
    )


def test_before_the_end_and_where_nothing_is_contradicted_there_is_no_review(
    lesson, tmp_path: Path
) -> None:
    write_review(tmp_path, evidence_of(lesson, None))
    content = answered(evidence_of(lesson, None), sure_of(TRUTH[numbers(lesson)], lesson.task))
    write_review(tmp_path, content)
    assert list(tmp_path.iterdir()) == []


def test_the_strongest_contradictions_are_taken_where_there_are_many(lesson) -> None:
    evidence = finished(lesson)
    rows = lesson.split.rows("test")
    scores = np.full((len(lesson.catalog), 3), 1 / 3)
    for place, row in enumerate(rows):  # all test pictures are contradicted, some more than others
        lead = 0.3 + 0.02 * place
        scores[row] = (1 - lead) / 2
        scores[row, (TRUTH[numbers(lesson)[row]] + 1) % 3] = lead + 0.05
        scores[row] /= scores[row].sum()
    found = review_rows(answered(evidence, scores))
    assert len(rows) > 12
    assert set(rows[-12:]) <= set(found)


def test_what_was_reviewed_once_is_not_asked_again(lesson, tmp_path: Path) -> None:
    evidence = finished(lesson)
    write_review(tmp_path, evidence)
    first, asked = review_rows(evidence), rows_of(tmp_path / "review.csv")
    untouched = taught(Path(lesson.recipe.data), corrections=str(tmp_path / "review.csv"))
    assert review_rows(finished(untouched)) == first  # the negative control

    labels = dict(zip(lesson.catalog.hashes, lesson.catalog.labels, strict=True))
    lines = [[own["file"], labels[own["content"]], own["content"]] for own in asked]
    path = write_table(tmp_path / "filled.csv", ["file", "label", "content"], lines)
    again = taught(Path(lesson.recipe.data), corrections=str(path))
    assert again.fingerprint == lesson.fingerprint  # every label was right
    assert review_rows(finished(again)) == []  # no other label is contradicted


def test_what_is_far_off_is_so_beside_all_errors_of_the_part(tmp_path: Path) -> None:
    """Beside the few that were not reviewed an ordinary error once looked far off."""
    truth_N = np.arange(150) / 10
    write_pictures(tmp_path / "pictures", ["all"] * 150)
    lines = [[f"pictures/all/{n:03}.png", value] for n, value in enumerate(truth_N.tolist())]
    data = write_table(tmp_path / "table.csv", ["file", "value"], lines)
    rng = np.random.default_rng(0)
    errors_N = rng.normal(0, 1, 150)
    lesson = taught(data)
    test = lesson.split.rows("test")
    errors_N[numbers(lesson)[test[:6]]] = [0.01, -0.01, 0.02, -0.02, 0.5, 40.0]
    confirmed = [[lesson.catalog.paths[row], "", "yes"] for row in test[6:]]
    path = write_table(tmp_path / "seen.csv", ["file", "label", "confirmed"], confirmed)
    again = taught(data, corrections=str(path))
    scores = (truth_N + errors_N)[numbers(again)][:, None]
    rows = review_rows(answered(evidence_of(again, None), scores))
    assert len(rows) == 2
    assert test[5] in rows  # it is far off; beside the other five, that of 0.5 would be, too
    assert test[4] not in review_module._contradicted(answered(evidence_of(again, None), scores))


def test_what_was_settled_before_stands_in_the_review_s_table_too(lesson, tmp_path: Path) -> None:
    train = lesson.split.rows("train")
    named = [lesson.catalog.paths[row] for row in train[:3]]
    labels = dict(zip(lesson.catalog.paths, lesson.catalog.labels, strict=True))
    other = next(own for own in CLASSES if own != labels[named[0]])
    lines = [[named[0], other, ""], [named[1], "", "yes"], [named[2], "-", ""]]
    path = write_table(tmp_path / "fixes.csv", ["file", "label", "confirmed"], lines)
    again = taught(Path(lesson.recipe.data), corrections=str(path))
    evidence = finished(again)
    write_suspects(tmp_path, evidence, {"suspects": []})
    rows = rows_of(tmp_path / "review.csv")
    assert [own["file"] for own in rows if not own["content"]] == named
    third = taught(Path(lesson.recipe.data), corrections=str(tmp_path / "review.csv"))
    assert third.fingerprint == again.fingerprint
    assert third.catalog.settled == again.catalog.settled


def test_what_was_reviewed_blind_is_so_in_the_next_round_too(lesson, tmp_path: Path) -> None:
    row = lesson.split.rows("test")[0]
    content = lesson.catalog.hashes[row]
    other = next(own for own in CLASSES if own != lesson.catalog.labels[row])
    columns = ["file", "label", "content"]
    path = write_table(tmp_path / "fixes.csv", columns, [["review/01.jpg", other, content]])
    again = taught(Path(lesson.recipe.data), corrections=str(path))
    assert again.catalog.reviewed == {lesson.catalog.paths[row]}
    write_suspects(tmp_path, finished(again), {"suspects": []})
    both = f"{tmp_path / 'suspects.csv'},{tmp_path / 'review.csv'}"
    third = taught(Path(lesson.recipe.data), corrections=both)
    assert third.fingerprint == again.fingerprint
    assert third.catalog.reviewed == again.catalog.reviewed
