"""Row G1: names full of scripts, shown in a real browser, with each guard switched off in turn."""

import dataclasses
import html.parser
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2
import numpy as np
import pytest
from tests.browser import needs_browser, opened

from saccade.reporting import page, svg
from saccade.reporting.collect import collect
from saccade.reporting.facts import Facts

RunOf = Callable[..., Path]

FIRE = "document.documentElement.dataset.fired=1"
OPEN_POLICY = (
    "default-src *; img-src * data:; style-src * 'unsafe-inline'; script-src * 'unsafe-inline'"
)


def payload(port: int) -> str:
    """A name that tries every way out of its place at once."""
    return (
        f"\"'><script>{FIRE}</script><img src=http://127.0.0.1:{port}/img onerror={FIRE}>"
        f"<svg onload={FIRE}><iframe src=javascript:parent.{FIRE}></iframe>"
        f"<link rel=stylesheet href=http://127.0.0.1:{port}/css>"
        f"</style></title></script><script>{FIRE}</script>{{{{7*7}}}}\u202ejpg.exe"
    )


class Listener:
    """Counts who connects to a port of this machine."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    own = Listener()
    yield own
    own.close()


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a browser made of a page."""

    fired: bool
    console: list[str]
    title: str


def show(path: Path, profile: Path) -> Seen:
    done = opened(path, profile, "--enable-logging=stderr", "--virtual-time-budget=2000")
    head = re.search(r"<html[^>]*>", done.stdout)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert head
    assert title
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(fired="data-fired" in head.group(), console=console, title=title.group(1))


@pytest.fixture
def hostile_facts(run_of: RunOf, listener: Listener) -> Facts:
    bad = payload(listener.port)
    classes = ("daisy" + bad, "rose", "tulip" + bad)
    run = run_of(classes=classes, num_epochs=3, ladder="+-", race=True, hostile=bad)
    gray = np.full((32, 32, 3), 80, np.uint8)
    facts = collect(
        run,
        picture=lambda path: gray if path.startswith("rose") else None,
        preview=[(bad, [gray])],
    )
    return dataclasses.replace(facts, name=bad, folder=bad, state=bad, error=bad)


def without_escaping(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = page._environment.__wrapped__  # not the one that every page shares

    def open_environment() -> jinja2.Environment:
        environment = guarded()
        environment.autoescape = False
        return environment

    monkeypatch.setattr(page, "_environment", open_environment)


def without_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "content_policy", lambda style: OPEN_POLICY)


class Elements(html.parser.HTMLParser):
    """The elements and attributes of a page, as a parser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(text)
    return parser.found


def test_no_name_becomes_an_element_or_an_attribute(hostile_facts: Facts) -> None:
    found = elements(page.render(hostile_facts))
    assert {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in found} == set()
    attributes = [(key, value or "") for _, own in found for key, value in own.items()]
    assert [key for key, _ in attributes if key.startswith("on") or key == "style"] == []
    links = [value for key, value in attributes if key in {"src", "href", "xlink:href"}]
    assert [link for link in links if not link.startswith(("data:", "#"))] == []


def test_no_name_becomes_an_element_negative_control(
    hostile_facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_escaping(monkeypatch)
    assert "script" in {tag for tag, _ in elements(page.render(hostile_facts))}


def test_no_name_is_taken_for_a_template(hostile_facts: Facts) -> None:
    text = page.render(hostile_facts)
    assert "{{7*7}}" in text
    assert "\u202e" not in text


def test_drawings_escape_names_negative_control(
    hostile_facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svg.html, "escape", lambda text: text)
    drawn = page.learning_figures(hostile_facts)
    assert any("<script" in figure.svg for figure in drawn)


@needs_browser
def test_hostile_names_run_nothing_and_ask_nobody(
    hostile_facts: Facts, listener: Listener, tmp_path: Path
) -> None:
    page.write_page(hostile_facts, tmp_path / "report.html")
    seen = show(tmp_path / "report.html", tmp_path / "profile")
    assert not seen.fired
    assert seen.console == []
    assert listener.connections == 0
    assert seen.title.endswith("saccade report")


@needs_browser
@pytest.mark.parametrize(
    ("escaping", "policy", "harmed"),
    [
        pytest.param(True, False, False, marks=pytest.mark.slow),
        pytest.param(False, True, False, marks=pytest.mark.slow),
        (False, False, True),
    ],
    ids=["escaping alone is enough", "the policy alone is enough", "without both it fires"],
)
def test_hostile_names_negative_control(
    escaping: bool,
    policy: bool,
    harmed: bool,
    hostile_facts: Facts,
    listener: Listener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not escaping:
        without_escaping(monkeypatch)
    if not policy:
        without_policy(monkeypatch)
    page.write_page(hostile_facts, tmp_path / "report.html")
    seen = show(tmp_path / "report.html", tmp_path / "profile")
    assert seen.fired is harmed
    assert (listener.connections > 0) is harmed
