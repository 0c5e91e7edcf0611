import json
from pathlib import Path

import pytest

from saccade.reporting.folder import read_history, read_metrics, read_recipe, read_run, read_split
from saccade.runtime.errors import ArtefactError
from saccade.training.history import History


def test_a_folder_without_run_json_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError) as caught:
        read_run(tmp_path)
    assert caught.value.code == "SACCADE-E560"
    assert str(caught.value) == (
        "This is not a run folder: it has no run.json.\n"
        f"  where: {tmp_path}\n"
        "  fix:   name a folder that 'saccade train' wrote, such as runs/photos"
    )


def test_a_run_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format_version": 2}')
    with pytest.raises(ArtefactError) as caught:
        read_run(tmp_path)
    assert caught.value.code == "SACCADE-E562"
    assert caught.value.message == ("The run is of format 2; this saccade reads formats up to 1.")


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", "[" * 100_000])
def test_a_damaged_run_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ArtefactError) as caught:
        read_run(tmp_path)
    assert caught.value.code == "SACCADE-E561"
    assert caught.value.where == str(tmp_path / "run.json")


def test_what_is_not_there_yet_reads_as_empty(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == {}
    assert read_history(tmp_path) == ([], "")
    assert read_recipe(tmp_path) == {}
    assert read_split(tmp_path) == []


def test_a_last_line_that_breaks_off_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"event":"note"}\n{"event":"epo')
    events, sentence = read_history(tmp_path)
    assert events == [{"event": "note"}]
    assert sentence == "The last line of history.jsonl (line 2) breaks off."


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"event":"epo\n{"event":"note"}\n')
    with pytest.raises(ArtefactError, match="line 1 is not JSON"):
        read_history(tmp_path)


def test_a_damaged_line_is_told_by_its_number_in_the_file_blank_lines_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"event":"note"}\n\n \n{"event":"epo')
    assert read_history(tmp_path)[1] == "The last line of history.jsonl (line 4) breaks off."
    path.write_text('\n{"event":"note"}\n\n{"event":"epo\n\n{"event":"note"}\n')
    with pytest.raises(ArtefactError, match="line 4 is not JSON"):
        read_history(tmp_path)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_only_a_newline_ends_a_line_of_the_history(tmp_path: Path, odd: str) -> None:
    history = History(tmp_path / "history.jsonl")
    history.add("note", sentence=f"the class 'a{odd}b' is rare")
    history.add("note", sentence="after it")
    assert read_history(tmp_path) == (history.events, "")


def test_a_last_line_cut_within_a_letter_is_dropped_where_a_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes('{"event": "note"}\n{"sentence": "ä"}'.encode()[:-3])
    assert History(path).events == [{"event": "note"}]
    assert path.read_text() == '{"event": "note"}\n'


def test_a_metric_that_is_null_is_not_a_number(tmp_path: Path) -> None:
    entry = {"value": None, "low": None, "high": None, "n": 0, "method": "undefined: none"}
    (tmp_path / "metrics.json").write_text(json.dumps({"test": {"recall[a]": entry}}))
    value = read_metrics(tmp_path)["test"]["recall[a]"].value
    assert value != value


@pytest.mark.parametrize("content", ['{"test": 1}', '{"test": {"accuracy": {"value": 1}}}'])
def test_metrics_of_another_form_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ArtefactError) as caught:
        read_metrics(tmp_path)
    assert caught.value.exit_code == 5


def test_a_recipe_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("model =")
    with pytest.raises(ArtefactError) as caught:
        read_recipe(tmp_path)
    assert caught.value.code == "SACCADE-E561"


def test_names_in_the_split_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text(
        "file,label,part,group,why\n'=a\\x80.jpg,'-b,train,,drawn\n"
    )
    (row,) = read_split(tmp_path)
    assert (row.path, row.label) == ("=a\udc80.jpg", "-b")


def test_a_split_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("file,label\na,b\n")
    with pytest.raises(ArtefactError, match="'part'"):
        read_split(tmp_path)
