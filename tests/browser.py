"""Pages opened in headless Chromium, as a reader would."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def opened(page: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Return what the browser prints: the page as it made of it, and its log."""
    return subprocess.run(
        [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=True,
    )


def overhang(folder: Path, names: Sequence[str], *, widths: Sequence[int]) -> list[int]:
    """Return by how many pixels each page of a folder scrolls sideways, at each width in turn."""
    frames = "".join(
        f'<iframe src="{name}" style="width:{width}px;height:900px;border:0"></iframe>'
        for name in names
        for width in widths
    )
    measure = (
        "<script>onload=()=>{document.title=[...document.querySelectorAll('iframe')].map(f=>{"
        "let e=f.contentDocument.documentElement;return e.scrollWidth-e.clientWidth}).join(' ')}"
        "</script>"
    )
    (folder / "frames.html").write_text(f"<!doctype html><title>-</title>{frames}{measure}")
    flags = (
        "--allow-file-access-from-files", "--virtual-time-budget=3000", "--window-size=1500,1000",
    )  # fmt: skip
    done = opened(folder / "frames.html", folder / "profile", *flags)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    return [int(text) for text in title.group(1).split()]
