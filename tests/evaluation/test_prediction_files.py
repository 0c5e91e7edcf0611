import dataclasses
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saccade.data.task import Kind, Task
from saccade.evaluation.prediction_files import read_csv, read_truth
from saccade.evaluation.predictions import Predictions
from saccade.runtime.errors import ArtefactError

Make = Callable[..., Predictions]

NAMES = st.text(
    st.one_of(
        st.sampled_from("ab|\\'=+-@,;\"\n\r\t<>é\u202e\udcff "),
        st.characters(exclude_categories=("Cs",)),
    ),
    min_size=1,
    max_size=6,
)
PROBABILITY = st.floats(0, 1, allow_subnormal=True)


@st.composite
def tables(draw: st.DrawFn) -> Predictions:
    """Any table that saccade could write: odd names, all tasks, with and without labels."""
    kind: Kind = draw(st.sampled_from(["binary", "multiclass", "multilabel", "regression"]))
    num_classes = {"binary": 2, "regression": 0}.get(kind) or draw(st.integers(3, 5))
    if kind == "regression":
        num_classes = 0
    classes = draw(st.lists(NAMES, min_size=num_classes, max_size=num_classes, unique=True))
    n = draw(st.integers(0, 6))
    columns = max(num_classes, 1)
    if kind == "regression":
        value = st.floats(allow_nan=False, allow_infinity=False)
        scores = draw(_matrix(n, 1, value))
        truth = draw(_matrix(n, 1, value))[:, 0]
    else:
        scores = draw(_matrix(n, columns, PROBABILITY))
        if kind != "multilabel":
            scores = (scores + 1e-6) / (scores + 1e-6).sum(axis=1, keepdims=True)
        whole = st.integers(0, 1 if kind == "multilabel" else num_classes - 1)
        truth = draw(_matrix(n, columns if kind == "multilabel" else 1, whole))
        truth = truth.astype(np.uint8 if kind == "multilabel" else np.int64)
        truth = truth if kind == "multilabel" else truth[:, 0]
    texts = st.lists(NAMES, min_size=n, max_size=n)
    return Predictions(
        task=Task(kind=kind, classes=tuple(classes), separator=";"),
        paths=tuple(draw(texts)),
        hashes=tuple(f"{row:x}" for row in range(n)),
        parts=tuple(draw(st.sampled_from(["train", "validation", "test"])) for _ in range(n)),
        truth=truth if draw(st.booleans()) else None,
        scores=scores,
    )


@st.composite
def _matrix(draw: st.DrawFn, n: int, k: int, each: st.SearchStrategy) -> np.ndarray:
    cells = draw(st.lists(each, min_size=n * k, max_size=n * k))
    return np.array(cells, np.float64).reshape(n, k)


def same(a: Predictions, b: Predictions) -> bool:
    assert a.scores.tobytes() == b.scores.tobytes()
    assert (a.truth is None) == (b.truth is None)
    if a.truth is not None and b.truth is not None:
        assert a.truth.dtype == b.truth.dtype
        assert a.truth.tobytes() == b.truth.tobytes()
    assert (a.paths, a.hashes, a.parts, a.scored) == (b.paths, b.hashes, b.parts, b.scored)
    return True


@given(tables())
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_table_comes_back_to_the_last_digit(tmp_path: Path, table: Predictions) -> None:
    path = tmp_path / "p.csv"
    table.write_csv(path)
    back = read_csv(path, task=table.task)
    assert same(back, table)
    assert back.task == table.task


def small(make_table: Make, kind: Kind) -> Predictions:
    """Return a table of two pictures."""
    return {
        "binary": lambda: make_table(kind, [0, 1], [[0.9, 0.1], [0.3, 0.7]]),
        "multiclass": lambda: make_table(kind, [0, 2], [[0.9, 0.1, 0], [0.3, 0.6, 0.1]]),
        "multilabel": lambda: make_table(kind, [[0, 1, 1], [0, 0, 0]], [[0.9, 0.7, 0], [0, 0, 0]]),
        "regression": lambda: make_table(kind, [1, 2], [[3.0], [2.5]]),
    }[kind]()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_the_file_itself_says_what_its_task_is(
    make_table: Make, tmp_path: Path, kind: Kind
) -> None:
    table = small(make_table, kind)
    table.write_csv(tmp_path / "p.csv")
    back = read_csv(tmp_path / "p.csv")
    assert same(back, table)
    assert (back.task.kind, back.task.classes) == (table.task.kind, table.task.classes)


def test_whole_numbers_in_a_table_of_ours_are_a_quantity_where_they_are_written_so(
    make_table: Make, tmp_path: Path
) -> None:
    table = make_table("regression", [1, 2], [[3.0], [2.0]])
    table.write_csv(tmp_path / "p.csv")
    assert same(read_csv(tmp_path / "p.csv"), table)


def test_multilabel_tables_whose_labels_stand_alone_are_known_by_their_scores(
    make_table: Make, tmp_path: Path
) -> None:
    table = make_table("multilabel", [[1, 0], [0, 1]], [[0.9, 0.4], [0.1, 0.7]])
    table.write_csv(tmp_path / "p.csv")
    assert read_csv(tmp_path / "p.csv").task.kind == "multilabel"


def peak_of(read: Callable[[], object]) -> int:
    """Return the most bytes that were held at a time."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reading_holds_little_more_than_the_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(200), size=200)
    table = Predictions(
        task=Task(kind="multiclass", classes=tuple(f"c{place:03}" for place in range(200))),
        paths=tuple(f"{row}.png" for row in range(200)),
        hashes=("",) * 200,
        parts=("test", "train") * 100,
        truth=rng.integers(200, size=200),
        scores=scores,
    )
    table.write_csv(tmp_path / "p.csv")
    assert peak_of(lambda: read_csv(tmp_path / "p.csv", task=table.task)) < 3 * scores.nbytes
    assert peak_of(lambda: read_truth(tmp_path / "p.csv", task=table.task)) < scores.nbytes


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_the_truth_of_a_part_is_read_without_the_scores(
    make_table: Make, tmp_path: Path, kind: Kind
) -> None:
    table = small(make_table, kind)
    table = dataclasses.replace(table, parts=("train", "test"))
    table.write_csv(tmp_path / "p.csv")
    for part in ("train", "test"):
        found, expected = (
            read_truth(tmp_path / "p.csv", task=table.task, part=part),
            table.rows(part),
        )
        np.testing.assert_array_equal(found, expected.truth)
    dataclasses.replace(table, truth=None).write_csv(tmp_path / "p.csv")
    assert read_truth(tmp_path / "p.csv", task=table.task) is None


class TestTablesOfOthers:
    def read(self, tmp_path: Path, text: str, **arguments: str) -> Predictions:
        path = tmp_path / "theirs.csv"
        path.write_text(text, encoding="utf-8")
        return read_csv(path, **arguments)  # type: ignore[arg-type]

    def test_two_columns_are_enough(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, "truth,prediction\ncat,cat\ndog,cat\nbird,dog\n")
        assert table.task.kind == "multiclass"
        assert table.task.classes == ("bird", "cat", "dog")
        assert table.truth is not None
        assert table.truth.tolist() == [1, 2, 0]
        assert table.predicted.tolist() == [1, 1, 2]
        assert table.paths == ("line 2", "line 3", "line 4")
        assert set(table.parts) == {"test"}
        assert not table.scored

    @pytest.mark.parametrize("separator", [";", "\t", ","])
    def test_semicolons_tabs_and_a_byte_order_mark_are_read(
        self, tmp_path: Path, separator: str
    ) -> None:
        table = self.read(tmp_path, f"\ufefftruth{separator}prediction\r\ncat{separator}dog\r\n")
        assert table.prediction == ("dog",)

    def test_other_columns_are_ignored(self, tmp_path: Path) -> None:
        text = "id,prediction,truth,note\n1,cat,dog,x\n2,dog,dog,y\n"
        assert self.read(tmp_path, text).truths == ("dog", "dog")

    def test_their_names_are_taken_as_they_stand(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, "file,truth,prediction\nc:\\new,'tis,'tis\nd,b,b\n")
        assert table.paths == ("c:\\new", "d")
        assert table.task.classes == ("'tis", "b")

    @pytest.mark.parametrize(
        ("cells", "kind"),
        [
            ("1.5,2\n3,4", "regression"),
            ("0,1\n1,1", "binary"),
            ("3,5\n5,3\n4,4", "multiclass"),
            ("\n".join(f"{i},{i + 1}" for i in range(30)), "regression"),
            ("nan,inf\ninf,nan", "binary"),
            ("a|b,a\nb,b", "multilabel"),
            ("1,1.0\n0,0.0", "binary"),
            ("1,1.5\n0,0.0", "regression"),
            ("1_1,1_2\n1_2,1_1", "binary"),
            ("\n".join(f"{i},{i}.0" for i in range(15)), "multiclass"),
        ],
    )
    def test_the_cells_say_what_kind_of_answer_it_is(
        self, tmp_path: Path, cells: str, kind: str
    ) -> None:
        assert self.read(tmp_path, f"truth,prediction\n{cells}\n").task.kind == kind

    def test_the_space_around_cells_is_no_part_of_a_name(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, "file, truth, prediction\n a.png, cat, cat\nb.png,dog ,dog\n")
        assert (table.paths, table.task.classes) == (("a.png", "b.png"), ("cat", "dog"))
        assert table.truths == table.prediction == ("cat", "dog")
        table = self.read(tmp_path, "truth, score: cat, score:dog \ncat, 0.5, 0.5\n")
        assert (table.task.classes, table.truths) == (("cat", "dog"), ("cat",))
        table = self.read(tmp_path, "truth,prediction\ncat | dog,dog\ncat,cat|dog\n")
        assert table.task.classes == ("cat", "dog")

    def test_a_whole_number_is_one_class_however_it_is_written(self, tmp_path: Path) -> None:
        text = "truth,prediction\n1,1.0\n0,0.0\n01,1\n"
        table = self.read(tmp_path, text)
        assert (table.task.classes, table.truths) == (("0", "01", "1"), ("1", "0", "01"))
        assert table.prediction == ("1", "0", "1")
        known = Task(kind="binary", classes=("0", "1"))
        back = self.read(tmp_path, text.replace("01", "1"), task=known)  # type: ignore[arg-type]
        assert back.prediction == back.truths == ("1", "0", "1")
        table = self.read(tmp_path, "truth,prediction\n1.0,a\na,1.0\n")
        assert table.task.classes == ("1.0", "a")

    def test_the_kind_can_be_said(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, "truth,prediction\n1,2\n3,4\n", kind="regression")
        assert table.task.kind == "regression"
        assert table.predicted.tolist() == [2.0, 4.0]

    def test_an_underscore_is_no_part_of_a_number(self, tmp_path: Path) -> None:
        for text, column in (
            ("truth,prediction\n1_1,1\n", "truth"),
            ("truth,score:a,score:b\na,0_1,0.9\n", "score:a"),
        ):
            kind = "regression" if column == "truth" else None
            with pytest.raises(ArtefactError, match=f"expected in column '{column}'; met '._1'"):
                self.read(tmp_path, text, kind=kind)

    def test_of_equal_scores_the_answer_beside_them_counts(self, tmp_path: Path) -> None:
        """Rounded to two decimals the highest of two scores may be no higher than the other."""
        text = "truth,prediction,score:a,score:b,score:c\nb,b,0.45,0.45,0.10\na,a,0.45,0.45,0.10\n"
        table = self.read(tmp_path, text)
        assert (table.prediction, table.truths) == (("b", "a"), ("b", "a"))
        np.testing.assert_allclose(table.scores, [[0.45, 0.45, 0.1]] * 2, atol=1e-12)
        table = self.read(
            tmp_path, "truth,prediction,score:a,score:b\na,a|b,0.50,0.90\nb,b,0.50,0.9\n"
        )
        assert table.prediction == ("a|b", "b")
        table.write_csv(tmp_path / "again.csv")
        assert same(read_csv(tmp_path / "again.csv", task=table.task), table)

    def test_scores_without_a_prediction_column_give_the_answers(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, "truth,score:b,score:a\nb,0.9,0.1\na,0.8,0.2\n")
        assert table.task.classes == ("b", "a")
        assert table.prediction == ("b", "b")
        assert table.scored

    def test_score_columns_are_matched_to_the_classes_by_name(self, tmp_path: Path) -> None:
        task = Task(kind="binary", classes=("a", "b"))
        text = "truth,score:b,score:a\nb,0.9,0.1\n"
        table = self.read(tmp_path, text, task=task)  # type: ignore[arg-type]
        assert table.scores.tolist() == [[0.1, 0.9]]

    def test_a_table_without_labels_is_read_for_what_it_is(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "prediction\na\nb\n").truth is None
        assert self.read(tmp_path, "truth,prediction\n,a\n,b\n").truth is None


WRONG = [
    (
        "",
        "565",
        "The prediction table is empty.\n"
        "  where: {path}\n"
        "  fix:   write a header with the columns truth and prediction, and one row a picture",
    ),
    (
        "truth,prediction\n",
        "565",
        "The prediction table has a header and no rows.\n"
        "  where: {path}\n"
        "  fix:   write one row a picture",
    ),
    (
        "label,answer\na,b\n",
        "564",
        "A prediction table needs a column 'prediction' or columns 'score:<class>'; met 'label', "
        "'answer'.\n"
        "  where: {path}\n"
        "  fix:   name the column of answers prediction, and that of true labels truth",
    ),
    (
        "truth,truth,prediction\na,b,c\n",
        "564",
        "Every column needs a name of its own; met twice: 'truth'.\n"
        "  where: {path}\n"
        "  fix:   rename or remove one of each",
    ),
    (
        "truth,prediction\na,b\nc\n",
        "565",
        "A row has 1 cells; the header has 2.\n"
        "  where: {path}, line 3\n"
        "  fix:   put quotes around cells that contain the separator",
    ),
    (
        'truth,prediction\na,"b\n',
        "565",
        "The prediction table is not well-formed CSV: unexpected end of data.\n"
        "  where: {path}, line 2\n"
        "  fix:   write it with a CSV library or a spreadsheet",
    ),
    (
        "truth,score:cat,score:dog\ncats,0.5,0.5\n",
        "566",
        "The truth 'cats' is none of the 2 classes.\n"
        "  where: {path}, line 2\n"
        "  fix:   use one of the class names, such as cat",
    ),
    (
        "truth,score:a,score:b\na,0.5,half\n",
        "554",
        "A finite number was expected in column 'score:b'; met 'half'.\n"
        "  where: {path}, line 2\n"
        "  fix:   write numbers with a decimal point",
    ),
    (
        "truth,score:a,score:b\na,2.5,-1.5\n",
        "554",
        "The scores of a binary table must lie between 0 and 1; met 2.5, -1.5.\n"
        "  where: {path}, line 2\n"
        "  fix:   write probabilities, or leave the score columns out to judge the answers alone",
    ),
    (
        "truth,prediction,score:a,score:b\na,a,0.9,0.9\n",
        "554",
        "The scores of a binary table must add up to 1 in every row; met 0.9, 0.9.\n"
        "  where: {path}, line 2\n"
        "  fix:   write probabilities, or leave the score columns out to judge the answers alone",
    ),
    (
        "truth,prediction,score:a,score:b\na,a,0.9,0.1\na,a,0.2,0.8\n",
        "555",
        "The prediction must be the class with the highest score; in 1 of 2 rows it is another, "
        "such as 'a' where the scores say 'b'.\n"
        "  where: {path}, line 3\n"
        "  fix:   leave out the column prediction, or the score columns to judge the answers alone",
    ),
    (
        "truth,prediction,score:a,score:b\na,a,0.9,0.1\n,b,0.2,0.8\n",
        "556",
        "1 of 2 rows have no truth.\n"
        "  where: {path}, line 3\n"
        "  fix:   fill in the column truth, or leave these rows out",
    ),
    (
        "truth,prediction\na,a\n,b\nb,b\n",
        "556",
        "1 of 3 rows have no truth.\n"
        "  where: {path}, line 3\n"
        "  fix:   fill in the column truth, or leave these rows out",
    ),
]


@pytest.mark.parametrize(("text", "code", "message"), WRONG)
def test_a_wrong_table_is_refused_with_the_place_and_the_cure(
    tmp_path: Path, text: str, code: str, message: str
) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(ArtefactError) as caught:
        read_csv(path)
    assert str(caught.value) == message.format(path=path)
    assert caught.value.code == f"SACCADE-E{code}"


def test_a_missing_file_and_a_binary_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be read: No such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "p.csv").write_bytes(b"truth\xff\xfe")
    with pytest.raises(ArtefactError, match="must be text in UTF-8") as caught:
        read_csv(tmp_path / "p.csv")
    assert caught.value.where == f"{tmp_path / 'p.csv'}, byte 5"


def test_scores_of_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("truth,score:a,score:c\na,0.5,0.5\n")
    with pytest.raises(ArtefactError) as caught:
        read_csv(tmp_path / "p.csv", task=Task(kind="binary", classes=("a", "b")))
    assert caught.value.message == (
        "The score columns must be those of the 2 classes; missing: b; not expected: c."
    )


def test_a_damaged_table_of_ours_ends_in_a_named_error(
    flowers: Predictions, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    flowers.write_csv(path)
    whole = path.read_text()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(150):
        text = list(whole)
        place = rng.integers(len(text))
        text[place : place + rng.integers(3)] = rng.choice(list('x",\n\\|09.'), rng.integers(3))
        path.write_text("".join(text))
        try:
            found = read_csv(path, task=flowers.task)
        except ArtefactError:
            refused += 1
            continue
        if len(found) == len(flowers):  # what is read is the table, but for the row that was hit
            same = np.isclose(found.scores, flowers.scores, atol=1e-6).all(axis=1)
            assert (~same).sum() <= 1
    assert refused > 30


def test_reading_and_judging_a_table_loads_no_torch() -> None:
    code = (
        "import sys, saccade.evaluation.scores, saccade.evaluation.prediction_files, "
        "saccade.evaluation.mistakes; print([m for m in ('torch', 'sklearn', 'PIL', 'timm') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_damaged_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("file,hash,part,truth,prediction\na\\xzz,,test,b,b\n")
    with pytest.raises(ArtefactError) as caught:
        read_csv(path)
    assert str(caught.value) == (
        "A name is damaged: 'a\\xzz' is not written as saccade writes names.\n"
        f"  where: {path}\n"
        "  fix:   write the table again; or rename the column hash, then names are taken as they "
        "stand"
    )


def test_two_spellings_of_one_class_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("file,hash,part,truth,score:a,score:'a\nx,,test,a,0.4,0.6\n")
    with pytest.raises(ArtefactError, match="met twice: 'score:a'"):
        read_csv(path)
