from collections.abc import Callable

import numpy as np
import pytest

from saccade.evaluation.mistakes import (
    ConfusedPair,
    confusion_matrix,
    most_confused_pairs,
    worst_mistakes,
)
from saccade.evaluation.predictions import Predictions

Make = Callable[..., Predictions]


def test_the_confusion_matrix_has_truth_in_rows(flowers: Predictions) -> None:
    assert confusion_matrix(flowers).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 2]]


def test_several_labels_have_no_confusion_matrix(make_table: Make) -> None:
    with pytest.raises(ValueError, match="one known class a picture"):
        confusion_matrix(make_table("multilabel", [[0, 1]], [[0.1, 0.2]]))
    with pytest.raises(ValueError, match="one known class a picture"):
        confusion_matrix(make_table("binary", None, [[0.1, 0.9]]))


def test_of_pairs_equally_frequent_the_larger_share_comes_first(make_table: Make) -> None:
    # a→b twice of 4, c→a once of 2, b→c once of 4
    truth, said = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2], [1, 1, 0, 0, 2, 1, 1, 1, 0, 2]
    table = make_table("multiclass", truth, np.eye(3)[said], classes=("a", "b", "c"))
    assert most_confused_pairs(table) == [
        ConfusedPair(truth="a", prediction="b", count=2, of=4),
        ConfusedPair(truth="c", prediction="a", count=1, of=2),
        ConfusedPair(truth="b", prediction="c", count=1, of=4),
    ]
    assert len(most_confused_pairs(table, limit=1)) == 1


def test_the_surest_wrong_answers_are_the_worst(flowers: Predictions) -> None:
    worst = worst_mistakes(flowers)
    assert [(one.row, one.truth, one.prediction, one.score, one.truth_score) for one in worst] == [
        (2, "daisy", "rose", 0.7, 0.2),
        (7, "tulip", "daisy", 0.5, 0.4),
    ]
    assert worst[0].path == "2.png"
    assert worst[0].hash == flowers.hashes[2]
    assert worst_mistakes(flowers, limit=1) == worst[:1]


def test_a_picture_of_several_labels_counts_for_its_worst_label(make_table: Make) -> None:
    table = make_table(
        "multilabel",
        [[1, 0], [0, 1], [1, 1]],
        [[0.4, 0.2], [0.95, 0.9], [0.8, 0.7]],
        classes=("sea", "sky"),
    )
    worst = worst_mistakes(table)
    assert [(one.row, one.truth, one.prediction, one.score) for one in worst] == [
        (1, "sky", "sea|sky", 0.95),
        (0, "sea", "", 0.4),
    ]


def test_the_largest_residuals_are_the_worst(make_table: Make) -> None:
    table = make_table("regression", [1.0, 2.0, 3.0], [[1.5], [-1.0], [3.0]])
    worst = worst_mistakes(table)
    assert [(one.row, one.score, one.truth_score, one.size) for one in worst] == [
        (1, -1.0, 2.0, 3.0),
        (0, 1.5, 1.0, 0.5),
    ]


def test_where_nothing_is_known_to_be_wrong_there_are_no_mistakes(make_table: Make) -> None:
    assert worst_mistakes(make_table("binary", None, [[0.1, 0.9]])) == []
    assert worst_mistakes(make_table("binary", [1], [[0.1, 0.9]])) == []
    assert worst_mistakes(make_table("binary", [], np.zeros((0, 2)))) == []
