"""What the tests of this room share: a task, small networks, a hub on this machine."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.models import network as networks
from saccade.models import tensors
from saccade.models.network import Network
from saccade.models.weights import Weights
from saccade.runtime import store
from saccade.training.recipe import Recipe

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def task() -> Task:
    return Task(kind="multiclass", classes=("ant", "bee", "cat"))


@pytest.fixture
def build(task: Task) -> Callable[..., tuple[Network, Preprocess]]:
    def make(
        name: str, *, weights: Weights | None = None, img_size: int = 0, **choices: object
    ) -> tuple[Network, Preprocess]:
        recipe = Recipe(**choices)  # type: ignore[arg-type]
        return networks.build(name, task=task, recipe=recipe, weights=weights, img_size=img_size)

    return make


@pytest.fixture
def weights_file(tmp_path: Path) -> Callable[..., Weights]:
    def write(network: torch.nn.Module, name: str = "own.safetensors") -> Weights:
        path = tmp_path / name
        tensors.write(path, network.state_dict())
        return Weights(path=path, sha256=store.sha256(path), licence="", source=f"file {name}")

    return write


class Hub:
    """Answers as the Hugging Face hub does, for one file a repository."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # "timm/name.tag" -> model.safetensors
        self.announced: dict[str, str] = {}  # a false hash, where one is wanted
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, *, with_body: bool) -> None:
                hub.asked.append(f"{self.command} {self.path}")
                parts = self.path.strip("/").split("/")
                repository, file = "/".join(parts[:2]), parts[-1]
                content = hub.files.get(repository) if file == "model.safetensors" else None
                self.send_response(404 if content is None else 200)
                if content is not None:
                    sha = hashlib.sha256(content).hexdigest()
                    self.send_header("ETag", f'"{hub.announced.get(repository, sha)}"')
                    self.send_header("X-Repo-Commit", COMMIT)
                else:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if with_body and content:
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


@pytest.fixture
def hub_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Point the hub's client, which reads its variables once, at an address and an empty cache."""
    import huggingface_hub.constants

    monkeypatch.delenv("SACCADE_WEIGHTS", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def point(address: str) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )

    return point
