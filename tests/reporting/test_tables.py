import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saccade.reporting import tables
from saccade.reporting.collect import collect
from saccade.reporting.facts import Facts
from saccade.reporting.glossary import METHODS, is_baseline, is_share, method_words, title

RunOf = Callable[..., Path]


def facts_of(run: Path) -> Facts:
    return collect(run, picture=lambda path: None)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_every_metric_of_a_run_is_shown_somewhere_and_in_words(run_of: RunOf, kind: str) -> None:
    classes = ("ant", "bee") if kind == "binary" else ("ant", "bee", "cow", "dog", "elk", "fox")
    facts = facts_of(run_of(kind=kind, classes=classes))
    judged = facts.results.judged
    overall = {row.name for row in tables.metric_rows(facts)}
    grid = {
        f"{family}_{average}"
        for family in ("precision", "recall", "f1", "specificity")
        for average in tables.average_names(facts)
    }
    families = {name for name, _ in tables.class_families(facts)}
    lost = [
        name
        for name in judged
        if name not in overall | grid and name.partition("[")[0] not in families
    ]
    assert lost == []
    assert [row.name for row in tables.metric_rows(facts) if row.title == row.name] == []


@pytest.mark.parametrize(
    ("kind", "baseline"),
    [
        ("multiclass", "majority_accuracy"),
        ("multilabel", "majority_accuracy_subset"),
        ("regression", "mean_baseline_mae"),
    ],
)
def test_a_baseline_stands_among_the_leading_numbers(
    run_of: RunOf, kind: str, baseline: str
) -> None:
    rows = tables.leading(facts_of(run_of(kind=kind)))
    assert [row.name for row in rows if row.baseline] == [baseline]
    assert not rows[0].baseline


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_every_word_that_stands_large_at_the_top_is_explained(run_of: RunOf, kind: str) -> None:
    facts = facts_of(run_of(kind=kind))
    words = dict(tables.leading_words(facts))
    assert {row.title for row in tables.leading(facts)} | {"95 % interval", "n"} == {*words}
    assert all(len(meaning.split()) > 4 for meaning in words.values())


def test_methods_are_said_in_words(run_of: RunOf) -> None:
    for kind in ("multiclass", "multilabel", "regression"):
        for estimate in facts_of(run_of(kind, kind=kind)).results.judged.values():
            words = method_words(estimate.method)
            assert words.startswith((*METHODS.values(), "–", "no interval", "no error"))


def test_an_average_says_which_one_it_is() -> None:
    assert title("recall_weighted")[0] == "Recall (weighted)"
    assert title("f1_samples") == ("F1 (samples)", "mean over pictures")


def test_losses_and_errors_are_not_shown_as_percentages() -> None:
    names = ("log_loss", "mae", "mean_baseline_rmse", "r2", "hamming_loss")
    assert [is_share(name) for name in names] == [False] * 5
    assert is_share("f1_macro")
    assert is_baseline("majority_accuracy")


def test_a_large_confusion_matrix_loses_no_picture() -> None:
    confusion = np.random.default_rng(0).integers(0, 5, (50, 50))
    names, small = tables.confusion_view(confusion, [f"c{k}" for k in range(50)], limit=30)
    assert small.shape == (30, 30)
    assert small.sum() == confusion.sum()
    assert names[-1] == "21 other classes"
    assert names[:-1] == sorted(names[:-1], key=lambda name: int(name[1:]))


def test_the_classes_kept_are_those_with_the_most_mistakes() -> None:
    confusion = np.eye(5, dtype=int) * 9
    confusion[1, 3] = 7
    names, small = tables.confusion_view(confusion, list("abcde"), limit=3)
    assert names == ["b", "d", "3 other classes"]
    assert small.tolist() == [[9, 7, 0], [0, 9, 0], [0, 0, 27]]


def test_more_than_a_thousand_classes_show_the_weakest(run_of: RunOf) -> None:
    facts = facts_of(run_of())
    names = tuple(f"c{k:04d}" for k in range(1500))
    own = facts.results.judged["recall[rose]"]
    judged = {f"recall[{n}]": dataclasses.replace(own, value=k / 1500) for k, n in enumerate(names)}
    many = dataclasses.replace(
        facts,
        task=dataclasses.replace(facts.task, classes=names),
        results=dataclasses.replace(facts.results, metrics={"test": judged}),
    )
    assert [row.name for row in tables.class_rows(many)] == list(names[:1000])


def test_what_was_left_out_is_counted_by_reason(run_of: RunOf) -> None:
    rows = tables.skipped_rows(facts_of(run_of()))
    assert [(row.reason, row.count, len(row.examples)) for row in rows] == [
        ("unreadable", 7, 5),
        ("hidden", 1, 1),
    ]
