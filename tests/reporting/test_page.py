import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.browser import needs_browser, overhang
from tests.reporting import ladders
from tests.reporting.shown_intervals import without_n

from saccade.evaluation.intervals import wilson
from saccade.reporting import pictures, results
from saccade.reporting.collect import collect
from saccade.reporting.facts import Facts, Picture
from saccade.reporting.page import content_policy, render, write_page, write_preview_page

RunOf = Callable[..., Path]
MAX_BYTES = 5_000_000
GRAY = np.full((64, 64, 3), 90, np.uint8)
SECTIONS = ["believe", "good", "wrong", "help", "made", "use"]
WIDTHS = (360, 768, 1400)
RIGHT, WRONG = "--accent-rgb", "--wrong-rgb"


def gray(path: str) -> np.ndarray:
    return GRAY


def noise(path: str) -> np.ndarray:
    """The picture that compresses worst."""
    rng = np.random.default_rng(len(path) + sum(path.encode()))
    return rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)


def page_of(run: Path) -> str:
    return render(collect(run, picture=gray, preview=[("rotation ±15°", [GRAY])]))


def plain(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


KINDS = {
    "three classes": {},
    "two classes": {"kind": "binary", "classes": ("ant", "bee")},
    "forty classes": {"classes": tuple(f"species {k}" for k in range(40)), "num_pictures": 900},
    "labels": {"kind": "multilabel", "classes": ("cat", "dog", "fox")},
    "numbers": {"kind": "regression"},
    "epochs": {"num_epochs": 5},
    "a ladder": {"ladder": "+-+"},
    "a ladder in vain": {"ladder": "--"},
    "six rungs after a race": {"ladder": "++-+--", "race": True},
    "a ladder of numbers": {"kind": "regression", "ladder": "-+"},
    "no test part": {"parts": ("train", "validation")},
    "only a training part": {"parts": ("train",)},
    "a class absent from the test": {"absent_from_test": "rose"},
    "unfinished": {"state": "running", "num_epochs": 2},
    "no mistakes": {"error_rate": 0.0},
}


@pytest.fixture(scope="module", params=KINDS)
def kind_page(request: pytest.FixtureRequest, make_run_at: RunOf) -> str:
    return page_of(make_run_at(**KINDS[request.param]))


def test_every_kind_of_run_has_all_sections_in_order_and_no_empty_value(kind_page: str) -> None:
    html = kind_page
    assert re.findall(r'<section id="(\w+)"', html) == SECTIONS
    text = plain(html)
    assert re.search(r"\b(nan|None|inf|Undefined)\b", text) is None
    assert html.count("<h1") == 1


def test_every_picture_and_drawing_is_described(kind_page: str) -> None:
    html = kind_page
    images = re.findall(r"<img [^>]*>", html)
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    drawings = re.findall(r"<svg [^>]*>", html)
    assert all('role="img"' in own and 'aria-label="' in own for own in drawings)


def test_no_interval_stands_without_its_n(kind_page: str) -> None:
    """Of a page with all studies: test_every_interval_has_its_n."""
    assert without_n(kind_page)[0] == []


def test_tables_have_headers_with_their_scope(run_of: RunOf) -> None:
    html = page_of(run_of(num_epochs=3))
    assert re.findall(r"<th(?![a-z])(?![^>]*scope=)[^>]*>", html) == []
    assert html.count("<table") == html.count('role="region"')


def test_the_page_holds_no_script_and_names_no_address(run_of: RunOf) -> None:
    html = page_of(run_of(num_epochs=3))
    assert "<script" not in html
    assert "http" not in html.replace('http-equiv="', "")
    assert re.search(r'\sstyle="', html) is None  # the policy would block it


def test_the_policy_allows_the_own_style_sheet_and_nothing_else(run_of: RunOf) -> None:
    html = page_of(run_of())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    policy = content_policy(style.group(1))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "script" not in policy
    assert policy in html.replace("&#39;", "'")


def test_no_average_is_unnamed_and_every_number_has_its_n(run_of: RunOf) -> None:
    run = run_of()
    facts = collect(run, picture=gray)
    text = plain(render(facts))
    n = facts.results.judged["accuracy"].n
    assert f"n = {n} test pictures" in text
    head = text[text.index("Averages over classes") : text.index("Class by class")]
    assert {"macro", "weighted", "micro"} <= set(head.split())
    assert head.count(f"n = {n}") == 4 * 3  # precision, recall, F1 and specificity


def test_the_baseline_stands_beside_the_accuracy(run_of: RunOf) -> None:
    text = plain(page_of(run_of()))
    assert text.index("Accuracy") < text.index("Baseline: majority class") < 800


def test_the_counts_of_the_confusion_matrix_are_those_of_the_predictions(run_of: RunOf) -> None:
    facts = collect(run_of(), picture=gray)
    table = re.search(r'<table class="confusion[^>]*>(.*?)</table>', render(facts), re.DOTALL)
    assert table
    rows = re.findall(r"<tr><th.*?</tr>", table.group(1).split("<tbody>")[1], re.DOTALL)
    shown = [[int(n) for n in re.findall(r">(\d+)<", row)] for row in rows]
    assert facts.results.confusion is not None
    expected = [[*row, sum(row)] for row in facts.results.confusion.tolist()]
    assert shown == expected


def test_right_answers_are_tinted_as_what_is_good_and_mistakes_otherwise(run_of: RunOf) -> None:
    """Mistakes had the colour that the accuracy has at the top, and were taken for right."""
    html = page_of(run_of())
    tints = dict(
        re.findall(r"\.(key\.k-\w+|k-\w+\.h\d+)[^{]*\{ background: rgb\(var\((.*?)\)", html)
    )
    assert len(tints) == 2 + 2 * 10 - 2  # the key's are those of the fifth level
    assert {name: own for name, own in tints.items() if "right" in name and own != RIGHT} == {}
    assert {name: own for name, own in tints.items() if "wrong" in name and own != WRONG} == {}
    assert "Right answers lie on the diagonal." in plain(html)
    assert re.search(r'class="key k-right">right</span> <span class="key k-wrong">wrong<', html)


def test_more_than_thirty_classes_get_a_map_and_the_worst_in_numbers(run_of: RunOf) -> None:
    html = page_of(run_of(**KINDS["forty classes"]))
    assert '<figure class="map">' in html
    assert "11 other classes" in html
    assert "The 29 classes with the most mistakes" in html


def test_a_severe_finding_leads_the_page_and_links_to_what_was_noticed(run_of: RunOf) -> None:
    html = page_of(run_of())
    believe = html[html.index('<section id="believe"') :]
    first = believe[believe.index("<li") : believe.index("</li>")]
    assert 'class="doubt severe"' in first
    assert "Severe: 2 pictures are the same but have different labels." in first
    assert '<a href="#finding-1">' in first
    noticed = believe[believe.index("What was noticed") :]
    assert re.search(r'<li class="severe" id="finding-1">.*?2 pictures are the same', noticed)


def test_an_unfinished_run_says_so_and_how_to_go_on(run_of: RunOf) -> None:
    text = plain(page_of(run_of(state="interrupted", num_epochs=2)))
    assert "This run is not finished (state: interrupted)." in text
    assert "saccade resume flowers" in text
    assert "No picture has been judged yet." in text
    assert "This run has no model yet." in text


def test_a_finished_run_does_not_say_so(run_of: RunOf) -> None:
    assert "not finished" not in page_of(run_of())


def test_without_a_test_part_the_reader_is_warned(run_of: RunOf) -> None:
    text = plain(page_of(run_of(**KINDS["no test part"])))
    assert "There is no test part. These numbers are of the validation part" in text


def test_a_class_without_test_pictures_has_no_number_but_its_reason(run_of: RunOf) -> None:
    html = page_of(run_of(**KINDS["a class absent from the test"]))
    row = re.search(r'<tr><th scope="row">rose</th><td class="r none">0</td>.*?</tr>', html)
    assert row
    assert "no picture of this class" in row.group() or "no rows" in row.group()


def test_pictures_that_are_gone_are_told_where_they_would_stand(run_of: RunOf) -> None:
    text = plain(render(collect(run_of(), picture=lambda path: None)))
    assert "picture not available" in text
    assert "could not be shown" in text


def test_a_folder_with_spaces_and_quotes_makes_commands_that_still_work(run_of: RunOf) -> None:
    html = page_of(run_of("it's mine"))
    assert "saccade predict &#39;it&#39;&#34;&#39;&#34;&#39;s mine&#39; new_pictures/" in html
    assert "saccade.load(&#34;it&#39;s mine/model&#34;)" in html


def test_a_network_from_scratch_is_not_said_to_load_in_plain_timm(run_of: RunOf) -> None:
    facts = collect(run_of(), picture=gray)
    scratch = dataclasses.replace(facts, model=dataclasses.replace(facts.model, name="cnn"))
    assert "timm.create_model" in render(facts)
    assert "timm.create_model" not in render(scratch)


def test_names_with_undecodable_bytes_can_be_written(run_of: RunOf, tmp_path: Path) -> None:
    facts = dataclasses.replace(collect(run_of(), picture=gray), name="a\udc80b")
    write_page(facts, tmp_path / "report.html")
    assert "<h1>a\\x80b</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_page(run_of: RunOf) -> None:
    run = run_of(num_epochs=3)
    assert page_of(run) == page_of(run)


def test_ten_thousand_pictures_fit_into_five_megabytes(run_of: RunOf, tmp_path: Path) -> None:
    run = run_of(classes=tuple(f"species {k}" for k in range(60)), num_pictures=10_000)
    facts = collect(run, picture=noise, preview=[(f"row {k}", [noise("a")] * 7) for k in range(7)])
    write_page(facts, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size <= MAX_BYTES
    assert any("left out to keep the page small" in gap for gap in facts.gaps)


@pytest.mark.slow
def test_the_size_negative_control(run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PAGE_PICTURE_BYTES", 10**9)
    run = run_of(classes=tuple(f"species {k}" for k in range(60)), num_pictures=600)
    facts = collect(run, picture=noise, preview=[(f"row {k}", [noise("a")] * 7) for k in range(7)])
    assert len(render(facts).encode()) > MAX_BYTES


def thousand_classes(facts: Facts, *, num: int) -> Facts:
    """The same run with many classes, made without scoring them."""
    names = tuple(f"species number {k:05d}" for k in range(num))
    rng = np.random.default_rng(0)
    confusion = np.zeros((num, num), np.int64)
    np.add.at(confusion, (rng.integers(0, num, 10_000), rng.integers(0, num, 10_000)), 1)
    families = ("recall", "precision", "f1", "specificity", "roc_auc", "average_precision")
    judged = {f"{family}[{name}]": wilson(3, 9) for name in names for family in families}
    own = {part: dict.fromkeys(names, 7) for part in ("train", "validation", "test")}
    full = Picture(name="a.jpg", jpeg=bytes(2_400_000), width_px=144, height_px=144)
    gallery = dataclasses.replace(facts.examples[0], pictures=(full,))
    return dataclasses.replace(
        facts,
        task=dataclasses.replace(facts.task, classes=names),
        split=dataclasses.replace(facts.split, counts=own),
        results=dataclasses.replace(
            facts.results,
            confusion=confusion,
            metrics={"test": {**facts.results.judged, **judged}},
            mistakes=(),
            pairs=(),
        ),
        examples=(gallery,),
    )


@pytest.mark.slow
def test_a_thousand_classes_with_the_full_weight_of_pictures_fit_too(run_of: RunOf) -> None:
    facts = thousand_classes(collect(run_of(), picture=gray), num=1000)
    html = render(facts)
    assert len(html.encode()) <= MAX_BYTES
    assert "971 other classes" in html


def test_a_preview_page_shows_each_picture_and_each_change(tmp_path: Path) -> None:
    previews = [("a<b>.jpg", [("rotation ±15°", [GRAY, GRAY]), ("noise: off", [GRAY])])]
    write_preview_page(previews, tmp_path / "preview.html")
    html = (tmp_path / "preview.html").read_text(encoding="utf-8")
    assert html.count("<img ") == 3
    assert "a&lt;b&gt;.jpg" in html
    assert "<script" not in html
    assert "rotation ±15°" in html


@needs_browser
def test_the_page_never_scrolls_sideways_from_phone_to_desk(run_of: RunOf, tmp_path: Path) -> None:
    names = []
    for kind in ("forty classes", "six rungs after a race", "numbers"):
        run = run_of(kind, **KINDS[kind])
        long = "a_very_long_name_" * 12
        facts = dataclasses.replace(collect(run, picture=gray), name=long)
        (tmp_path / f"{len(names)}.html").write_text(render(facts))
        names.append(f"{len(names)}.html")
    loose = (tmp_path / "0.html").read_text().replace("overflow-x: auto", "overflow-x: visible")
    loose = re.sub(r"<meta http-equiv=[^>]*>", "", loose)  # its hash no longer fits
    (tmp_path / "loose.html").write_text(loose)
    found = overhang(tmp_path, [*names, "loose.html"], widths=WIDTHS)
    assert found[:9] == [0] * 9
    assert found[9] > 0  # negative control: tables that do not scroll in their own box


def test_a_head_that_no_epoch_improved_is_not_said_to_have_learned_on(run_of: RunOf) -> None:
    """With --unfreeze K; beside it stood that the solved head was kept."""
    run = run_of(num_epochs=3)

    def told(*, best: bool) -> str:
        events = [ladders.head(), *ladders.epochs(0, 3, rung=None, best=best)]
        (run / "history.jsonl").write_text("".join(json.dumps(own) + "\n" for own in events))
        return page_of(run)

    html = told(best=False)
    assert "no epoch was better than the solved head, which was kept" in html
    assert "It then learned on with the stages" not in html
    assert "It then learned on with the stages" in told(best=True)


def test_a_mean_residual_is_told_with_its_interval_or_not_at_all(run_of: RunOf) -> None:
    facts = collect(run_of(kind="regression"), picture=gray)
    assert re.search(
        r"Mean residual [+−]\d\.\d+ \[[+−]\d\.\d+, [+−]\d\.\d+\](, so the answers are off to one "
        r"side|; it is not shown that the answers are off to one side)\. n = ",
        render(facts),
    )
    few = dataclasses.replace(facts.results.bias, low=math.nan, high=math.nan)
    results = dataclasses.replace(facts.results, bias=few)
    assert "Mean residual" not in render(dataclasses.replace(facts, results=results))


SOLVED = "The solved head saw every picture as it is."
UNDONE = "The network that was kept saw every picture as it is."
SHOWN = "What the network was shown instead of the same picture again and again"
CROPPED = "The network that was kept learned from crops of what its frozen stages say"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([ladders.head()], SOLVED),
        (ladders.ladder("--"), UNDONE),
        (ladders.ladder("+", views=1), UNDONE),
        (ladders.ladder("+", views=1, crop=10), CROPPED),
        (ladders.ladder("-", views=1, crop=10), UNDONE),
        ([ladders.head(), *ladders.epochs(0, 2)], UNDONE),  # the rung was not finished
        ([ladders.head(), *ladders.epochs(0, 2, rung=None, best=False)], UNDONE),
        ([ladders.head(), *ladders.epochs(0, 2, rung=None, best=True)], SHOWN),
        (ladders.ladder("+-"), SHOWN),
        (ladders.ladder("+", views=1, cached=False), SHOWN),
        (ladders.epochs(0, 2, rung=None), SHOWN),
    ],
)
def test_augmentation_is_claimed_only_of_the_network_that_was_kept(
    run_of: RunOf, events: list[dict[str, object]], said: str
) -> None:
    run = run_of()
    (run / "history.jsonl").write_text("".join(json.dumps(own) + "\n" for own in events))
    html = page_of(run)
    assert [own for own in (SOLVED, UNDONE, SHOWN, CROPPED) if own in html] == [said]


def test_judged_pictures_are_not_denied_where_their_answers_are_gone(run_of: RunOf) -> None:
    run = run_of()
    (run / "predictions.csv").unlink()
    html = page_of(run)
    assert "No picture has been judged yet" not in html
    assert "The answers to the test pictures are not at hand" in html
    (run / "metrics.json").unlink()
    assert "No picture has been judged yet" in page_of(run)


def test_without_a_mistake_there_need_be_no_matrix_to_say_so(
    run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MAX_MATRIX_CLASSES", 2)
    html = page_of(run_of(error_rate=0.0, num_pictures=60))
    assert "No picture has been judged yet" not in html
    assert "Not one wrong answer in the test part" in html
