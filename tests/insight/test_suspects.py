"""Suspect labels in folders where wrong ones were planted, and what becomes of corrections."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.insight.labelled import (
    CLASSES,
    answered,
    evidence_of,
    features_of,
    numbers,
    rows_of,
    sure_of,
    taught,
    write_pictures,
    write_table,
)

from saccade.data.sealed import SealBroken, Sealed
from saccade.evaluation.scores import evaluate
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.suspects import study, write_suspects
from saccade.lesson import Lesson
from saccade.runtime.store import decode_name

TRUTH = np.arange(120) % 3
WRONG = (4, 17, 35, 36, 50, 71, 90, 111)  # numbers of pictures that lie in another class's folder


def given(truth_N: np.ndarray = TRUTH, wrong: tuple[int, ...] = WRONG) -> list[str]:
    labels_N = truth_N.copy()
    labels_N[list(wrong)] = (truth_N[list(wrong)] + 1) % 3
    return [CLASSES[k] for k in labels_N]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("flowers") / "photos", given())


def seen(lesson: Lesson) -> Evidence:
    return evidence_of(lesson, features_of(TRUTH[numbers(lesson)]))


def finished(lesson: Lesson) -> Evidence:
    scores = sure_of(TRUTH[numbers(lesson)], lesson.task)
    return answered(seen(lesson), scores)


def wrong_in(lesson: Lesson, *parts: str) -> set[str]:
    own = zip(lesson.catalog.paths, numbers(lesson), lesson.split.parts, strict=True)
    return {path for path, number, part in own if number in WRONG and part in parts}


def test_planted_errors_of_the_parts_that_teach_and_choose_lead_the_list(folder: Path) -> None:
    lesson = taught(folder)
    found = study(seen(lesson), {})
    planted = wrong_in(lesson, "train", "validation")
    assert len(planted) >= 5
    assert {own["path"] for own in found["suspects"][: len(planted)]} == planted
    for own in found["suspects"][: len(planted)]:
        truth = CLASSES[TRUTH[int(Path(own["path"]).stem)]]
        assert own["likelier"] == truth

        assert own["why"].startswith(f"probe: {truth} 0.")
    assert sum(own["sure"] for own in found["suspects"][: len(planted)]) > 0.7 * len(planted)
    share = found["share"]
    assert share["low"] <= len(planted) / found["n"] <= share["high"]
    assert (
        share["n"]
        == found["n"]
        == len(lesson.split.rows("train")) + len(lesson.split.rows("validation"))
    )
    assert [own["rank"] for own in found["suspects"]] == list(range(1, found["num_listed"] + 1))
    assert sum(own["num"] for own in found["pairs"]) == found["num_sure"]
    json.dumps(found, allow_nan=False)


def test_where_every_label_is_right_few_are_accused(tmp_path: Path) -> None:
    """The negative control: the folder has no wrong label."""
    lesson = taught(write_pictures(tmp_path / "photos", given(wrong=())))
    found = study(seen(lesson), {})
    assert found["num_sure"] <= 1
    assert found["share"]["low"] == 0


def test_no_test_picture_is_accused_though_some_are_wrong(folder: Path) -> None:
    lesson = taught(folder)
    in_test = wrong_in(lesson, "test")
    assert in_test
    paths = {own["path"] for own in study(finished(lesson), {})["suspects"]}
    parts = dict(zip(lesson.catalog.paths, lesson.split.parts, strict=True))
    assert "test" not in {parts[path] for path in paths}
    taught_too = dataclasses.replace(lesson.split, parts=("train",) * len(lesson.catalog))
    everything = study(dataclasses.replace(seen(lesson), split=taught_too), {})
    assert in_test <= {own["path"] for own in everything["suspects"]}  # the negative control


def test_the_answers_of_the_test_part_are_not_read(folder: Path) -> None:
    """Row E4: under seal the study says the same."""
    lesson = taught(folder)
    open_ = seen(lesson)
    sealed = Sealed(lesson.truth, rows=lesson.split.rows("test"))
    assert study(dataclasses.replace(open_, targets=sealed), {}) == study(open_, {})
    with pytest.raises(SealBroken):
        np.asarray(sealed)


def test_copies_with_two_labels_come_first_whatever_the_probe_says(tmp_path: Path) -> None:
    labels = given(wrong=())
    labels[3], labels[6] = "daisy", "tulip"  # 0, 3 and 6 have the same bytes; two are called daisy
    folder = write_pictures(tmp_path / "photos", labels, same={3: 0, 6: 0})
    lesson = taught(folder, seed=3)
    truth_N = TRUTH[numbers(lesson)]
    found = study(evidence_of(lesson, features_of(truth_N)), {})
    parts = dict(zip(lesson.catalog.paths, lesson.split.parts, strict=True))
    assert parts["tulip/006.png"] != "test"
    assert found["num_conflicts"] == 1
    first = found["suspects"][0]
    assert (first["path"], first["label"], first["likelier"]) == ("tulip/006.png", "tulip", "daisy")
    assert first["why"] in {
        f"the same picture as daisy/{n}.png, which has that label" for n in ("000", "003")
    }


def test_near_copies_with_two_labels_come_first_too(folder: Path) -> None:
    evidence = seen(taught(folder))
    parts, labels = evidence.split.parts, evidence.catalog.labels
    right = [n not in WRONG for n in numbers(taught(folder))]
    taught_rows = [row for row, part in enumerate(parts) if part == "train" and right[row]]
    first = taught_rows[0]
    second = next(row for row in taught_rows if labels[row] != labels[first])
    test = next(row for row, part in enumerate(parts) if part == "test" and labels[row] == "tulip")
    assert evidence.twins is not None
    linked_N = evidence.twins.cluster_N.copy()
    linked_N[[first, second, test]] = min(first, second, test)
    twins = dataclasses.replace(evidence.twins, cluster_N=linked_N)
    found = study(dataclasses.replace(evidence, twins=twins), {})
    assert found["num_conflicts"] == 1
    paths = {evidence.catalog.paths[row] for row in (first, second)}
    top = found["suspects"][0]
    assert top["path"] in paths
    (other,) = paths - {top["path"]}
    assert top["why"] == f"shows the same as {other}, which has that label"
    alone = dataclasses.replace(evidence, twins=None)
    assert study(alone, {})["num_conflicts"] == 0


def test_a_probe_that_knows_nothing_accuses_nobody_and_says_so(folder: Path) -> None:
    """Of right labels that it could not see 38 in 100 were once said to be probably wrong."""
    lesson = taught(folder)
    blind = np.random.default_rng(0).normal(size=(len(lesson.catalog), 8)).astype(np.float32)
    found = study(evidence_of(lesson, blind), {})
    assert found["contradicted"] > 1 / 3
    assert (found["num_listed"], found["num_sure"], found["share"]) == (0, 0, None)
    assert (found["pairs"], found["suspects"]) == ([], [])


def test_a_probe_that_contradicts_many_cannot_tell_them_from_hard_ones(folder: Path) -> None:
    lesson = taught(folder)
    features = features_of(TRUTH[numbers(lesson)])
    noise = np.random.default_rng(0).normal(size=features.shape)
    hard = (features + 3.5 * noise).astype(np.float32)
    found = study(evidence_of(lesson, hard), {})
    assert 0.1 < found["contradicted"] <= 1 / 3
    assert found["share"]["low"] == 0 < found["share"]["high"]


def test_without_frozen_features_nothing_can_be_said(folder: Path) -> None:
    with pytest.raises(NotPossible, match="no features of a pretrained network"):
        study(evidence_of(taught(folder), None), {})


def test_too_few_pictures_say_nothing(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", given(wrong=())[:9])
    lesson = taught(folder)
    with pytest.raises(NotPossible, match="are too few"):
        study(seen(lesson), {})


def test_pictures_that_belong_together_do_not_vouch_for_each_other(folder: Path) -> None:
    """Two bursts cannot be judged by a probe that learned from neither."""
    evidence = seen(taught(folder))
    bursts = tuple(f"burst {row % 2}" for row in range(len(evidence.catalog)))
    split = dataclasses.replace(evidence.split, groups=bursts)
    with pytest.raises(NotPossible, match="groups count as one"):
        study(dataclasses.replace(evidence, split=split), {})


# --- the files ------------------------------------------------------------------------------------


def test_the_list_as_written_changes_nothing_and_edited_it_puts_labels_right(
    folder: Path, tmp_path: Path
) -> None:
    lesson = taught(folder)
    evidence = seen(lesson)
    found = study(evidence, {})
    write_suspects(tmp_path, evidence, found)
    listed = tmp_path / "suspects.csv"
    rows = rows_of(listed)
    columns = ["file", "label", "confirmed", "likelier", "sure", "score", "rank", "why"]
    assert list(rows[0]) == [*columns, "content"]
    assert [own["file"] for own in rows] == [own["path"] for own in found["suspects"]]
    sure = [own["path"] for own in found["suspects"] if own["sure"]]
    assert 0 < len(sure) < len(rows)
    assert [own["file"] for own in rows if own["sure"] == "yes"] == sure
    assert taught(folder, corrections=str(listed)).fingerprint == lesson.fingerprint

    planted = wrong_in(lesson, "train", "validation")
    for own in rows:
        own["label"] = own["likelier"] if own["file"] in planted else own["label"]
    junk = next(own for own in rows if own["file"] in planted)
    junk["label"] = "-"
    edited = write_table(tmp_path / "edited.csv", list(rows[0]), [list(r.values()) for r in rows])
    again = taught(folder, corrections=str(edited))
    labels = dict(zip(again.catalog.paths, again.catalog.labels, strict=True))
    assert all(
        labels[path] == CLASSES[TRUTH[int(Path(path).stem)]] for path in labels if path in planted
    )
    assert planted - set(labels) == {junk["file"]}

    # a second list repeats the corrections, so that editing it loses none
    second = seen(again)
    write_suspects(tmp_path, second, study(second, {}))
    assert taught(folder, corrections=str(listed)).fingerprint == again.fingerprint


def test_a_label_that_a_person_put_right_or_confirmed_is_not_accused_again(
    folder: Path, tmp_path: Path
) -> None:
    lesson = taught(folder)
    first = study(seen(lesson), {})
    write_suspects(tmp_path, seen(lesson), first)
    rows = rows_of(tmp_path / "suspects.csv")
    assert first["num_sure"] >= 3
    judge = set(lesson.split.rows("validation"))
    accused = [lesson.catalog.paths.index(own["path"]) for own in first["suspects"] if own["sure"]]
    assert first["validation"] == {"n": len(judge), "num_sure": len(judge.intersection(accused))}
    assert first["num_settled"] == 0
    rows[0]["confirmed"] = "yes"  # though the probe is right: who looked decides
    rows[1]["label"] = rows[1]["likelier"]
    rows[2]["confirmed"] = "no"
    edited = write_table(tmp_path / "edited.csv", list(rows[0]), [list(r.values()) for r in rows])
    again = taught(folder, corrections=str(edited))
    second = study(seen(again), {})
    left = {own["path"] for own in second["suspects"]}
    assert rows[2]["file"] in left
    assert not {rows[0]["file"], rows[1]["file"]} & left
    assert second["num_settled"] == 2
    assert second["share"]["value"] < first["share"]["value"]
    assert sum(own["num"] for own in second["pairs"]) == second["num_sure"]

    # the next list repeats both, so that the next run knows of them too
    write_suspects(tmp_path, seen(again), second)
    settled = {own["file"]: own for own in rows_of(tmp_path / "suspects.csv") if own["confirmed"]}
    assert {name: own["why"].split(",")[0] for name, own in settled.items()} == {
        rows[0]["file"]: "confirmed",
        rows[1]["file"]: "corrected",
    }
    third = taught(folder, corrections=str(tmp_path / "suspects.csv"))
    assert third.fingerprint == again.fingerprint
    assert third.catalog.settled == again.catalog.settled


def test_of_copies_with_two_labels_the_one_that_was_confirmed_is_believed(tmp_path: Path) -> None:
    labels = given(wrong=())
    labels[3], labels[6] = "daisy", "tulip"  # 0, 3 and 6 have the same bytes; two are called daisy
    folder = write_pictures(tmp_path / "photos", labels, same={3: 0, 6: 0})
    header, line = ["file", "label", "confirmed"], ["tulip/006.png", "", "yes"]
    confirmed = write_table(tmp_path / "confirmed.csv", header, [line])
    lesson = taught(folder, seed=3, corrections=str(confirmed))
    found = study(evidence_of(lesson, features_of(TRUTH[numbers(lesson)])), {})
    against = {own["path"]: own["likelier"] for own in found["suspects"][:2]}
    assert against == {"daisy/000.png": "tulip", "daisy/003.png": "tulip"}


def test_a_name_that_a_spreadsheet_would_run_is_written_so_that_it_does_not(
    tmp_path: Path,
) -> None:
    names = ["=1+1", "rose", "tulip"]
    labels = [names[CLASSES.index(own)] for own in given()]
    lesson = taught(write_pictures(tmp_path / "photos", labels))
    found = study(seen(lesson), {})
    write_suspects(tmp_path, seen(lesson), found)
    cells = [cell for own in rows_of(tmp_path / "suspects.csv") for cell in own.values()]
    assert any("'=1+1" in cell for cell in cells)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert {decode_name(own["label"]) for own in found["suspects"]} <= set(names)


# --- other kinds of labels ------------------------------------------------------------------------


def test_wrong_labels_among_two_classes_are_found(tmp_path: Path) -> None:
    truth_N = np.arange(120) % 2
    labels_N = truth_N.copy()
    labels_N[list(WRONG)] = 1 - labels_N[list(WRONG)]
    lesson = taught(write_pictures(tmp_path / "photos", [CLASSES[k] for k in labels_N]))
    assert lesson.task.kind == "binary"
    found = study(evidence_of(lesson, features_of(truth_N[numbers(lesson)])), {})
    planted = wrong_in(lesson, "train", "validation")
    assert {own["path"] for own in found["suspects"][: len(planted)]} == planted


def tabled(folder: Path, cells: list[str], column: str) -> Path:
    write_pictures(folder / "pictures", ["all"] * len(cells))
    rows = [[f"pictures/all/{n:03}.png", cell] for n, cell in enumerate(cells)]
    return write_table(folder / "table.csv", ["file", column], rows)


def test_a_label_that_is_missing_or_too_many_is_found_and_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth_NK = rng.integers(0, 2, (150, 2))
    given_NK = truth_NK.copy()
    given_NK[list(WRONG), 0] = 1 - given_NK[list(WRONG), 0]
    names = ("cat", "dog")
    cells = [";".join(n for n, m in zip(names, marks, strict=True) if m) for marks in given_NK]
    lesson = taught(tabled(tmp_path, cells, "labels"))
    assert lesson.task.kind == "multilabel"
    rows = numbers(lesson)
    evidence = evidence_of(lesson, features_of(truth_NK[rows]))
    found = study(evidence, {})
    planted = wrong_in(lesson, "train", "validation")
    assert {own["path"] for own in found["suspects"][: len(planted)]} == planted
    for own in found["suspects"][: len(planted)]:
        number = int(Path(own["path"]).stem)
        said = "has" if given_NK[number, 0] else "lacks"
        assert own["why"].startswith(f"probe: {said} cat, whose probability is 0.")
    assert found["num_sure"] > 0.5 * len(planted)  # the probe is strong enough to say so
    assert found["weak"] == []
    assert found["share"] is None  # sets of labels: how many are wrong is not estimated
    write_suspects(tmp_path, evidence, found)
    rows_ = rows_of(tmp_path / "suspects.csv")
    edited = write_table(
        tmp_path / "edited.csv",
        ["file", "label"],
        [[own["file"], own["likelier"]] for own in rows_ if own["file"] in planted],
    )
    again = taught(tmp_path / "table.csv", corrections=str(edited))
    right = [row for row, path in enumerate(again.catalog.paths) if path in planted]
    np.testing.assert_array_equal(again.truth[right], truth_NK[numbers(again)[right]])


def test_labels_of_several_columns_are_listed_by_name_and_can_be_put_right_so(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    truth_NK = rng.integers(0, 2, (150, 2))
    given_NK = truth_NK.copy()
    given_NK[list(WRONG), 0] = 1 - given_NK[list(WRONG), 0]
    write_pictures(tmp_path / "pictures", ["all"] * 150)
    cells = [[f"pictures/all/{n:03}.png", *marks] for n, marks in enumerate(given_NK.tolist())]
    lesson = taught(write_table(tmp_path / "table.csv", ["file", "cat", "dog"], cells))
    assert lesson.catalog.label_columns == ("cat", "dog")
    evidence = evidence_of(lesson, features_of(truth_NK[numbers(lesson)]))
    write_suspects(tmp_path, evidence, study(evidence, {}))
    rows = rows_of(tmp_path / "suspects.csv")
    names = {"cat", "dog", "cat|dog", "|"}
    assert {own["label"] for own in rows} | {own["likelier"] for own in rows} <= names
    planted = wrong_in(lesson, "train", "validation")
    edited = write_table(
        tmp_path / "edited.csv",
        ["file", "label"],
        [[own["file"], own["likelier"]] for own in rows if own["file"] in planted],
    )
    again = taught(tmp_path / "table.csv", corrections=str(edited))
    right = [row for row, path in enumerate(again.catalog.paths) if path in planted]
    np.testing.assert_array_equal(again.truth[right], truth_NK[numbers(again)[right]])


@pytest.mark.parametrize(("noise", "weak"), [(0.5, False), (2.0, True)])
def test_a_probe_that_is_too_weak_for_a_label_accuses_none_of_it(
    tmp_path: Path, noise: float, weak: bool
) -> None:
    """Every label is right by construction; the features tell of the dog, and less of the cat."""
    rng = np.random.default_rng(0)
    truth_NK = rng.integers(0, 2, (150, 2))
    names = ("cat", "dog")
    cells = [";".join(n for n, m in zip(names, marks, strict=True) if m) for marks in truth_NK]
    lesson = taught(tabled(tmp_path, cells, "labels"))
    shown_NK = truth_NK[numbers(lesson)].astype(np.float64)
    shown_NK[:, 0] += rng.normal(0, noise, len(shown_NK))
    shown_NK = np.hstack([shown_NK, rng.normal(0, 0.1, (len(shown_NK), 10))])
    found = study(evidence_of(lesson, shown_NK.astype(np.float32)), {})
    assert found["num_listed"] > 0
    assert found["num_sure"] == 0
    assert [own["label"] for own in found["weak"]] == ["cat"] * weak
    assert any("cat" in own["why"] for own in found["suspects"]) is not weak
    assert all(own["num"] > own["n"] / 3 for own in found["weak"])


def test_a_number_that_is_far_off_is_found(tmp_path: Path) -> None:
    truth_N = np.random.default_rng(0).normal(0, 1, 150)
    cells_N = truth_N.copy()
    cells_N[list(WRONG)] += 10
    lesson = taught(tabled(tmp_path, [f"{v:.4f}" for v in cells_N], "height"))
    assert lesson.task.kind == "regression"
    found = study(evidence_of(lesson, features_of(truth_N[numbers(lesson)])), {})
    planted = wrong_in(lesson, "train", "validation")
    assert {own["path"] for own in found["suspects"]} == planted
    assert "times the usual error" in found["suspects"][0]["why"]
    assert found["share"] is None


# --- corrections ----------------------------------------------------------------------------------


def corrected(folder: Path, tmp_path: Path, wrong: tuple[int, ...]) -> Lesson:
    before = taught(folder)
    rows = [
        [path, CLASSES[TRUTH[number]]]
        for path, number in zip(before.catalog.paths, numbers(before), strict=True)
        if number in wrong
    ]
    return taught(folder, corrections=str(write_table(tmp_path / "f.csv", ["file", "label"], rows)))


def test_what_corrections_brought_is_measured_on_the_same_pictures(tmp_path: Path) -> None:
    wrong = tuple(range(0, 120, 3))  # every daisy lies among the roses, or nearly
    wrong = tuple(n for n in wrong if n % 5)
    folder = write_pictures(tmp_path / "photos", given(wrong=wrong))
    lesson = corrected(folder, tmp_path, wrong)
    found = study(finished(lesson), {})["corrections"]
    parts = [lesson.split.parts[row] for row in np.flatnonzero(np.isin(numbers(lesson), wrong))]
    assert found["num"] == {own: parts.count(own) for own in ("train", "validation", "test")}
    effect = found["effect"]
    assert effect["difference"]["n"] == len(lesson.split.rows("validation"))
    assert effect["difference"]["value"] > 0.1
    assert effect["difference"]["low"] <= effect["difference"]["value"]
    assert "corrected labels" in effect["sentence"]
    test = found["test"]
    n = len(lesson.split.rows("test"))
    assert test["corrected"]["value"] == 1.0  # the network of `finished` knows them all
    assert test["as_given"]["value"] == pytest.approx(1 - parts.count("test") / n)
    assert len(found["test_paths"]) == parts.count("test")


def in_groups_of_four(facts: Evidence) -> Evidence:
    groups = tuple(f"patient {row // 4}" for row in range(len(facts.split.parts)))
    return dataclasses.replace(facts, split=dataclasses.replace(facts.split, groups=groups))


def test_the_corrected_test_score_has_the_interval_of_the_metrics_groups_counted(
    tmp_path: Path,
) -> None:
    wrong = tuple(n for n in range(0, 120, 3) if n % 5)
    lesson = corrected(write_pictures(tmp_path / "photos", given(wrong=wrong)), tmp_path, wrong)
    as_given = (TRUTH + np.isin(np.arange(len(TRUTH)), wrong)) % len(CLASSES)
    scores = sure_of(as_given[numbers(lesson)], lesson.task)
    facts = in_groups_of_four(answered(seen(lesson), scores))
    found = study(facts, {})["corrections"]["test"]
    groups = facts.split.groups
    metrics = evaluate(facts.table, groups=groups)["test"]
    assert found["corrected"] == metrics["accuracy"].as_dict()
    assert "groups" in found["as_given"]["method"]


def test_how_often_a_class_is_written_for_another_is_told_by_groups(folder: Path) -> None:
    facts = in_groups_of_four(seen(taught(folder)))
    assert all("groups" in own["share"]["method"] for own in study(facts, {})["pairs"])


def test_where_nothing_was_corrected_nothing_is_said_of_it(folder: Path) -> None:
    assert study(seen(taught(folder)), {})["corrections"] is None


def test_before_the_end_the_test_score_is_not_told(folder: Path, tmp_path: Path) -> None:
    found = study(seen(corrected(folder, tmp_path, WRONG)), {})["corrections"]
    assert found["num"]["test"] > 0
    assert found["test"] is None


def test_a_misspelt_class_that_was_put_right_leaves_an_estimate(
    folder: Path, tmp_path: Path
) -> None:
    """None of its pictures has a label as given that is a class."""
    lost = sorted((folder / CLASSES[0]).iterdir())[:4]
    (folder / "misspelt").mkdir()
    for path in lost:
        path.rename(folder / "misspelt" / path.name)
    lines = [[f"misspelt/{path.name}", CLASSES[0]] for path in lost]
    fixes = write_table(tmp_path / "fixes.csv", ["file", "label"], lines)
    found = study(seen(taught(folder, corrections=str(fixes))), {})
    assert found["share"] is not None
    assert found["share"]["low"] <= found["share"]["value"] <= found["share"]["high"]
