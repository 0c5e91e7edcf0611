from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saccade.evaluation.predictions import Predictions
from saccade.runtime.errors import ArtefactError

Make = Callable[..., Predictions]


def test_the_first_of_equal_scores_is_the_answer(make_table: Make) -> None:
    table = make_table("multiclass", [0, 0], [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    assert table.predicted.tolist() == [0, 1]
    assert table.prediction == ("c0", "c1")


def test_a_label_is_predicted_where_its_score_is_above_one_half(make_table: Make) -> None:
    table = make_table("multilabel", [[1, 0, 1]], [[0.5, 0.51, 0.9]], classes=("a", "b", "c"))
    assert table.predicted.tolist() == [[0, 1, 1]]
    assert table.prediction == ("b|c",)
    assert table.truths == ("a|c",)


def test_regression_answers_keep_all_their_digits(make_table: Make) -> None:
    table = make_table("regression", [1.0], [[0.1 + 0.2]])
    assert table.prediction == ("0.30000000000000004",)


def test_the_rows_of_a_part_stay_together_and_in_order(make_table: Make) -> None:
    table = make_table(
        "binary",
        [0, 1, 1],
        [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
        parts=("test", "train", "test"),
    )
    own = table.rows("test")
    assert own.paths == ("0.png", "2.png")
    assert own.truth is not None
    assert own.truth.tolist() == [0, 1]
    assert own.predicted.tolist() == [0, 0]
    assert len(table.rows("validation")) == 0
    assert table.rows("validation").predicted.tolist() == []


def test_a_table_without_labels_says_so(make_table: Make) -> None:
    table = make_table("binary", None, [[0.9, 0.1]])
    assert table.truths == ("",)
    assert table.rows("test").truth is None


@pytest.mark.parametrize(
    ("truth", "scores"),
    [([0, 1], [[0.1, 0.9]]), ([[0, 1]], [[0.1, 0.9]]), ([0, 1, 0], [[0.1, 0.9]] * 2)],
)
def test_columns_that_do_not_fit_each_other_are_refused(
    make_table: Make, truth: list, scores: list
) -> None:
    with pytest.raises(ValueError, match="truth is"):
        make_table("binary", truth, scores)


def test_scores_need_one_column_a_class(make_table: Make) -> None:
    with pytest.raises(ValueError, match=r"scores are \(1, 2\), not \(1, 3\)"):
        make_table("multiclass", [0], [[0.5, 0.5]], classes=("a", "b", "c"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_never_counted_as_an_answer(
    make_table: Make, bad: float
) -> None:
    with pytest.raises(ArtefactError) as caught:
        make_table("binary", [0, 1], [[0.5, 0.5], [bad, 0.5]])
    assert caught.value.code == "SACCADE-E569"
    assert str(caught.value) == (
        "Every score must be a finite number; those of 1 of 2 pictures are not.\n"
        "  where: 1.png\n"
        "  fix:   train again with a lower learning rate: this model's weights are damaged"
    )


def test_a_written_table_can_be_read_by_people_and_spreadsheets(
    flowers: Predictions, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.csv"
    flowers.take([0, 2]).write_csv(path)
    zeros = "0" * 63
    assert path.read_text() == (
        "file,hash,part,truth,prediction,score:daisy,score:rose,score:tulip\n"
        f"0.png,{zeros}0,test,daisy,daisy,0.8,0.1,0.1\n"
        f"2.png,{zeros}2,test,daisy,rose,0.2,0.7,0.1\n"
    )


def test_names_that_a_spreadsheet_would_run_are_written_as_text(
    make_table: Make, tmp_path: Path
) -> None:
    table = make_table("binary", [1], [[0.2, 0.8]], classes=("=cmd()", "@x"))
    table.write_csv(tmp_path / "p.csv")
    row = (tmp_path / "p.csv").read_text().splitlines()[1]
    assert row.split(",")[3:5] == ["'@x", "'@x"]
