"""Runs and tables side by side: what is compared, what is refused, and what a person reads."""

import contextlib
import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from typer.testing import CliRunner

import saccade
from saccade.cli import app
from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import as_json, evaluate
from saccade.runtime.store import write_json
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import write_recipe


def cli(*words: object, cwd: Path) -> SimpleNamespace:
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, list(map(str, words)))
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def make_run(folder: Path, *, signal: float, shift: int = 0) -> None:
    """Write a run folder as `train` does, with made-up answers to 60 pictures of three classes."""
    rng = np.random.default_rng([shift, round(10 * signal)])
    task = Task(kind="multiclass", classes=("class0", "class1", "class2"))
    names = [f"class{row // 20}/{row:03}.png" for row in range(60)]
    truth = np.arange(60) // 20
    parts = ["test" if (row + shift) % 5 < 2 else "train" for row in range(60)]
    logits = rng.normal(size=(60, 3)) + signal * np.eye(3)[truth]
    table = Predictions(
        task=task,
        paths=tuple(names),
        hashes=tuple(f"{row:064x}" for row in range(60)),
        parts=tuple(parts),
        truth=truth,
        scores=np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
    )
    table.write_csv(folder / "predictions.csv")
    recipe = Recipe(seed=7)
    write_recipe(folder / "recipe.toml", recipe)
    write_json(folder / "metrics.json", as_json(evaluate(table, seed=recipe.seed)))
    facts = {"data": {"task": dataclasses.asdict(task)}, "model": {"name": "cnn"}}
    write_json(folder / "run.json", {"format_version": 1, "state": "finished", **facts})
    lines = [f"{name},{name[:6]},{part},,given" for name, part in zip(names, parts, strict=True)]
    (folder / "split.csv").write_text("\n".join(["file,label,part,group,why", *lines]) + "\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs little, much and other, which has another split."""
    root = tmp_path_factory.mktemp("compare")
    make_run(root / "little", signal=0.5)
    make_run(root / "much", signal=2.5)
    make_run(root / "other", signal=0.5, shift=1)
    return root


def test_the_numbers_are_those_of_the_runs_and_of_statsmodels(runs: Path) -> None:
    found = saccade.compare([runs / "little", runs / "much"])
    little, much = (saccade.open_run(runs / name) for name in ("little", "much"))
    assert [own.estimate for own in found.standings] == [
        run.metrics["test"]["accuracy"] for run in (little, much)
    ]
    right = [run.predictions.rows("test") for run in (little, much)]
    a, b = (own.predicted == own.truth for own in right)
    assert not np.array_equal(a, b)
    one = found.standings[1].difference
    assert one is not None
    assert one.value == pytest.approx(b.mean() - a.mean())
    cells = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert one.p == pytest.approx(mcnemar(cells, exact=True).pvalue)
    assert (found.n, found.metric) == (24, "accuracy")
    assert saccade.compare(runs / "little", runs / "much") == found
    assert saccade.compare(little, much) == found


def test_the_table_names_every_run_and_the_sentence_says_what_it_means(runs: Path) -> None:
    done = cli("compare", "little", "much", "much", cwd=runs)
    assert done.returncode == 0, done.stderr
    head, *rows, empty, first, second = done.stdout.splitlines()
    assert head.split() == (
        ["run", "model", "accuracy", "n", "difference", "95", "%", "interval", "p", "corrected"]
    )
    assert [row.split()[:2] for row in rows] == [
        ["little", "cnn"],
        ["much", "cnn"],
        ["much", "cnn"],
    ]
    assert empty == ""
    assert first == second
    assert first.startswith("On the same 24 pictures much names ")
    assert "more rightly than little: +" in first
    assert "(McNemar exact); corrected for 2 comparisons p = " in first


@pytest.mark.parametrize("scored", [(False, False), (True, False), (False, True)])
def test_top_5_is_not_compared_where_one_of_two_has_answers_and_no_scores(
    tmp_path: Path, scored: tuple[bool, bool]
) -> None:
    rng, names = np.random.default_rng(0), tuple(f"c{place}" for place in range(8))
    for name, known in zip(("a", "b"), scored, strict=True):
        scores = rng.dirichlet(np.ones(8), size=60)
        if not known:
            scores = np.eye(8)[scores.argmax(axis=1)]
        Predictions(
            task=Task(kind="multiclass", classes=names),
            paths=tuple(f"{row}" for row in range(60)),
            hashes=tuple(f"{row:064x}" for row in range(60)),
            parts=("test",) * 60,
            truth=np.arange(60) % 8,
            scores=scores,
            scored=known,
        ).write_csv(tmp_path / f"{name}.csv")
    with contextlib.chdir(tmp_path):
        found = saccade.compare(["a.csv", "b.csv"], metric="top_5_accuracy")
    assert [own.split(" cannot be compared by ")[1] for own in found.sentences] == [
        "top_5_accuracy: a table holds answers and no scores."
    ]


def test_whole_numbers_are_classes_where_the_task_is_said(tmp_path: Path) -> None:
    lines = [f"{row},{row % 25}" for row in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["truth,prediction", *lines, ""]))
    done = cli("eval", "a.csv", "--json", cwd=tmp_path)
    assert "mae" in json.loads(done.stdout)["test"]
    done = cli("eval", "a.csv", "--task", "multiclass", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["test"]["accuracy"]["value"] == pytest.approx(25 / 30)
    done = cli("compare", "a.csv", "a.csv", "--task", "multiclass", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["metric"] == "accuracy"


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["eval", "a.csv", "--task", "classes"], "There is no task 'classes'."),
        (["compare", "a.csv", "a.csv", "--task", "classes"], "There is no task 'classes'."),
        (["eval", "run", "folder", "--task", "binary"], "A model has its own task"),
        (["compare", "little", "a.csv", "--task", "binary"], "A run has its own task"),
    ],
)
def test_a_task_that_nobody_knows_or_needs_is_refused(
    runs: Path, words: list[str], where: str
) -> None:
    (runs / "a.csv").write_text("truth,prediction\n1,1\n2,2\n")
    done = cli(*words, cwd=runs)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error SACCADE-E260: {where}")


def test_json_holds_the_same(runs: Path) -> None:
    done = cli("compare", "little", "much", "--metric", "f1_macro", "--json", cwd=runs)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    with contextlib.chdir(runs):
        assert facts == saccade.compare(["little", "much"], metric="f1_macro").as_json()
    assert facts["compared_to"] == "little"
    assert facts["runs"][0]["difference"] is None
    assert facts["runs"][1]["difference"]["method"] == "paired bootstrap"


def test_a_run_and_its_table_are_the_same(runs: Path) -> None:
    found = saccade.compare([runs / "much", runs / "much" / "predictions.csv"], metric="log_loss")
    one = found.standings[1].difference
    assert one is not None
    assert (one.value, one.p) == (0, 1)
    said = "They are equal: both give the same answers, picture by picture."
    assert found.sentences[0].endswith(said)
    assert found.as_json()["sentences"] == list(found.sentences)
    assert said not in saccade.compare([runs / "little", runs / "much"]).as_text()


def test_the_order_of_rows_and_where_the_pictures_lie_do_not_matter(
    runs: Path, tmp_path: Path
) -> None:
    lines = (runs / "much" / "predictions.csv").read_text().splitlines()
    moved = [lines[0], *(f"elsewhere/{line}" for line in reversed(lines[1:]))]
    (tmp_path / "moved.csv").write_text("\n".join(moved) + "\n")
    found = saccade.compare([runs / "little", tmp_path / "moved.csv"])
    straight = saccade.compare([runs / "little", runs / "much"])
    assert found.standings[1].estimate.value == straight.standings[1].estimate.value
    assert found.standings[1].difference.p == straight.standings[1].difference.p


def test_tables_of_anybody_are_compared_line_by_line(tmp_path: Path) -> None:
    for name, answers in {"a": "xxyyzz", "b": "xxyyxz"}.items():
        rows = "".join(f"{t},{p}\n" for t, p in zip("xxyyzz", answers, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"truth,prediction\n{rows}")
    found = saccade.compare([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert found.standings[1].difference.more == -1
    assert found.n == 6


def test_a_class_that_one_never_answers_is_a_class_all_the_same(tmp_path: Path) -> None:
    for name, answers in {"a": "xxyy", "b": "xxyw"}.items():
        rows = "".join(f"{t},{p}\n" for t, p in zip("xxyy", answers, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"truth,prediction\n{rows}")
    found = saccade.compare([tmp_path / "a.csv", tmp_path / "b.csv"], metric="recall[y]")
    assert [own.estimate.value for own in found.standings] == [1.0, 0.5]


def test_numbers_are_compared_by_their_mean_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    for name, spread in {"a": 1.0, "b": 0.5}.items():
        said = truth + spread * rng.normal(size=60)
        rows = "".join(f"{t},{s}\n" for t, s in zip(truth, said, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"truth,prediction\n{rows}")
    done = cli("compare", "a.csv", "b.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "On the same 60 pictures the mae of b.csv is better (lower) than that of a.csv: −0."
        in done.stdout
    )
    assert done.stdout.rstrip().endswith("(paired t): beyond chance.")


def test_what_is_not_defined_is_said_to_be_so_and_null_in_json(tmp_path: Path) -> None:
    for name, answers in {"a": "xxyw", "b": "xxyx"}.items():
        rows = "".join(f"{t},{p}\n" for t, p in zip("xxyy", answers, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"truth,prediction\n{rows}")
    words = ["compare", "a.csv", "b.csv", "--metric", "recall[w]"]
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "b.csv and a.csv cannot be compared by recall[w]: there is no picture to judge it by."
    )
    one = json.loads(cli(*words, "--json", cwd=tmp_path).stdout)["runs"][1]
    assert (one["value"], one["difference"]["value"], one["difference"]["p"]) == (None,) * 3


def test_a_class_may_have_a_name_that_would_garble_a_terminal(tmp_path: Path) -> None:
    bad = "[\x1b[31m]"
    for name in "ab":
        rows = "".join(f"{t},{p}\n" for t, p in ((bad, bad), ("x", "x"), (bad, "x")))
        (tmp_path / f"{name}.csv").write_text(f"truth,prediction\n{rows}")
    done = cli("compare", "a.csv", "b.csv", "--metric", f"recall[{bad}]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "recall[[\\u001b[31m]]" in done.stdout


def test_other_test_pictures_are_refused_with_how_many_and_which(runs: Path) -> None:
    done = cli("compare", "little", "other", cwd=runs)
    assert done.returncode == 3
    code, where, fix = done.stderr.splitlines()
    tested = [
        {path for path, part in zip(table.paths, table.parts, strict=True) if part == "test"}
        for table in (saccade.open_run(runs / name).predictions for name in ("little", "other"))
    ]
    num = len(tested[0] - tested[1])
    assert code == (
        f"error SACCADE-E380: Runs are compared on the same test pictures; {num} of the 24 of "
        f"little are not among those of other, and {num} of its 24 are not among the former."
    )
    named = sorted(tested[0] - tested[1])[:5]
    assert where.startswith(
        f"  where: only in little: {', '.join(named)} and {num - 5} more; only in"
    )
    assert fix == (
        "  fix:   train both on the same data with the same --seed and parts (with --group auto a "
        "network has a say in these), or ask both models about one folder: saccade eval RUN FOLDER "
        "--output a.csv"
    )


def written(target: Path, rows: list[dict[str, str]]) -> Path:
    with target.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return target


def edited(source: Path, target: Path, change: Callable[[dict[str, str]], None]) -> Path:
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    return written(target, rows)


def test_other_labels_of_the_same_pictures_are_refused(runs: Path, tmp_path: Path) -> None:
    changed = []

    def relabel(row: dict[str, str]) -> None:
        if row["part"] == "test" and row["truth"] == "class0" and len(changed) < 2:
            row["truth"] = "class1"
            changed.append(row["file"])

    edited(runs / "much" / "predictions.csv", tmp_path / "b.csv", relabel)
    done = cli("compare", runs / "little", "b.csv", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[:2] == [
        f"error SACCADE-E380: 2 of 24 test pictures have another label in b.csv than in "
        f"{runs / 'little'}.",
        f"  where: {changed[0]}, {changed[1]}",
    ]
    assert done.stderr.splitlines()[2].endswith(f"--labels {runs / 'little'} or --labels b.csv")


def test_all_are_judged_by_the_labels_of_the_one_that_is_named(runs: Path, tmp_path: Path) -> None:
    """A run that put test labels right, beside the one before."""
    mended = iter(range(3))

    def relabel(row: dict[str, str]) -> None:
        if row["part"] == "test" and row["truth"] == "class0" and next(mended, None) is not None:
            row["truth"] = "class1"

    one = runs / "little"
    other = edited(runs / "much" / "predictions.csv", tmp_path / "b.csv", relabel)
    first = edited(one / "predictions.csv", tmp_path / "a.csv", lambda row: None)
    mended = iter(range(3))
    both_new = edited(first, tmp_path / "a_new.csv", relabel)
    for place, expected in (
        (other, saccade.compare(both_new, other)),
        (first, saccade.compare(first, runs / "much" / "predictions.csv")),
    ):
        found = saccade.compare(first, other, labels=place)
        assert [own.estimate for own in found.standings] == [
            own.estimate for own in expected.standings
        ]
        difference, known = found.standings[1].difference, expected.standings[1].difference
        assert difference is not None
        assert known is not None
        assert (difference.value, difference.p) == (known.value, known.p)
    done = cli("compare", one, "b.csv", "--labels", "c.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "SACCADE-E252: 'c.csv' is none of those" in done.stderr
    by_run = cli("compare", f"{one}/", "b.csv", "--labels", one, "--json", cwd=tmp_path)
    told = json.loads(by_run.stdout)
    assert (told["n"], told["labels"]) == (24, str(one))
    odd = shutil.copy(tmp_path / "b.csv", tmp_path / "o\\ld.csv")
    text = cli("compare", one, odd, "--labels", odd, cwd=tmp_path)
    assert text.returncode == 0
    assert "All are judged by the labels of" in text.stdout


def test_labels_that_contradict_each_other_judge_no_other_run(runs: Path, tmp_path: Path) -> None:
    with (runs / "much" / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    rows[-1]["hash"] = rows[0]["hash"]
    written(tmp_path / "a.csv", rows)
    written(tmp_path / "b.csv", [{**row, "truth": rows[0]["truth"]} for row in rows])
    done = cli("compare", "a.csv", "b.csv", "--labels", "a.csv", cwd=tmp_path)
    assert "SACCADE-E380: Copies of one picture have different labels in a.csv" in done.stderr
    assert cli("compare", "a.csv", "b.csv", "--labels", "b.csv", cwd=tmp_path).returncode == 0


def test_copies_whose_labels_contradict_are_compared_with_themselves(
    runs: Path, tmp_path: Path
) -> None:
    """Two test pictures of one content, one labelled rightly: whichever comes first."""
    with (runs / "much" / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    rows[-1]["hash"] = rows[0]["hash"]
    assert rows[-1]["truth"] != rows[0]["truth"]
    renamed = [{**row, "file": f"{99 - number}.png"} for number, row in enumerate(rows)]
    written(tmp_path / "a.csv", rows)
    written(tmp_path / "b.csv", renamed)
    for other in ("a.csv", "b.csv"):
        one = saccade.compare([tmp_path / "a.csv", tmp_path / other]).standings[1].difference
        assert one is not None
        assert (one.value, one.p) == (0, 1)
    renamed[0]["truth"] = renamed[-1]["truth"]
    written(tmp_path / "b.csv", renamed)
    done = cli("compare", "a.csv", "b.csv", cwd=tmp_path)
    assert "SACCADE-E380: 1 of 24 test pictures have another label in b.csv" in done.stderr


def test_a_table_of_answers_and_one_of_scores_with_more_classes_agree_in_either_order(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain.csv").write_text("truth,prediction\nx,x\ny,y\nx,y\n")
    scores = "truth,score:w,score:x,score:y\nx,0,1,0\ny,0,0,1\nx,0,1,0\n"
    (tmp_path / "scored.csv").write_text(scores)
    (tmp_path / "more.csv").write_text("truth,prediction\nx,x\ny,y\nx,v\n")
    for order, more in ((("plain", "scored"), 1), (("scored", "plain"), -1)):
        found = saccade.compare([tmp_path / f"{name}.csv" for name in order])
        assert found.standings[1].difference.more == more
    for order in (("more.csv", "scored.csv"), ("scored.csv", "more.csv")):
        done = cli("compare", *order, cwd=tmp_path)
        assert "more.csv does not: its classes are not those of scored.csv:" in done.stderr


def test_other_classes_are_refused_by_name(runs: Path, tmp_path: Path) -> None:
    text = (runs / "much" / "predictions.csv").read_text().replace("class2", "class9")
    (tmp_path / "b.csv").write_text(text)
    for order in ((runs / "little", "b.csv"), ("b.csv", runs / "little")):
        done = cli("compare", *order, cwd=tmp_path)
        assert done.returncode == 3
        assert "SACCADE-E381: Runs are compared that answer the same question; b.csv does not:" in (
            done.stderr
        )
        assert "class9" in done.stderr


def test_another_task_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("truth,prediction\n1.5,1.25\n2.5,2.75\n")
    (tmp_path / "b.csv").write_text("truth,prediction\nx,x\ny,x\n")
    done = cli("compare", "a.csv", "b.csv", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == (
        "error SACCADE-E381: Runs are compared that answer the same question; b.csv does not: its "
        "task is binary, and that of a.csv is regression."
    )


def test_a_table_without_a_test_part_is_refused(runs: Path, tmp_path: Path) -> None:
    edited(
        runs / "much" / "predictions.csv", tmp_path / "b.csv", lambda row: row.update(part="train")
    )
    done = cli("compare", runs / "little", "b.csv", cwd=tmp_path)
    assert done.returncode == 3
    assert "SACCADE-E382" in done.stderr
    assert "there are none in 60 rows" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["little"], 2, "A comparison needs two runs or more; one was named."),
        (["little", "much", "--metric", "accurracy"], 2, "There is no metric 'accurracy' of a"),
        (["little", "much", "--metric", "majority_accuracy"], 2, "There is no metric 'majority_"),
        (["little", "nowhere"], 5, "There is no folder or file 'nowhere'."),
    ],
)
def test_what_cannot_be_compared_says_why(
    runs: Path, words: list[str], code: int, message: str
) -> None:
    done = cli("compare", *words, cwd=runs)
    assert done.returncode == code
    assert message in done.stderr


def test_groups_of_the_runs_are_kept_together(runs: Path, tmp_path: Path) -> None:
    """The same runs, with pictures grouped by the last digit of their number in split.csv."""

    for name in ("little", "much"):
        shutil.copytree(runs / name, tmp_path / name)
        edited(
            tmp_path / name / "split.csv",
            tmp_path / name / "split.csv",
            lambda row: row.update(group=row["file"][-5]),
        )
    found = saccade.compare([tmp_path / "little", tmp_path / "much"])
    assert "groups" in found.standings[0].estimate.method
    assert found.standings[1].difference.method.startswith("t of ")
    half = saccade.compare([runs / "little", tmp_path / "much"])  # known to one of them only
    assert half.standings[1].difference.method == found.standings[1].difference.method


def test_comparing_tables_needs_no_torch(runs: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, saccade\n"
        "print(saccade.compare(['little', 'much', 'much/predictions.csv']).sentences[0][:24])\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=runs, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "On the same 24 pictures \n"), done.stderr
