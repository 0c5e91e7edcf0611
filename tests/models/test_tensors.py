import contextlib
import json
import pickle
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tests.memory import grows_less_than

from saccade.models import tensors
from saccade.runtime.errors import ArtefactError, ResourceError


def tensor_file(path: Path, entries: dict[str, object], data: bytes, **extra: object) -> Path:
    header = extra.get("header") or json.dumps(entries).encode()
    assert isinstance(header, bytes)
    length = extra.get("length", len(header))
    path.write_bytes(struct.pack("<Q", length) + header + data)
    return path


def entry(shape: list[int], begin: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    own = {"a.weight": torch.randn(3, 4), "count": torch.tensor(7), "half": torch.ones(2).half()}
    tensors.write(tmp_path / "w.safetensors", own)
    found = tensors.read(tmp_path / "w.safetensors")
    assert torch.equal(found["a.weight"], own["a.weight"])
    assert found["count"] == 7
    assert found["half"].dtype == torch.float32
    infos = tensors.check(tmp_path / "w.safetensors")
    assert {name: (info.kind, info.shape) for name, info in infos.items()} == {
        "a.weight": ("F32", (3, 4)),
        "count": ("I64", ()),
        "half": ("F16", (2,)),
    }


def test_views_and_channels_last_are_written_as_plain_tensors(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(1, 2, 3, 4)
    tensors.write(tmp_path / "w", {"a": base.to(memory_format=torch.channels_last), "b": base[0]})
    found = tensors.read(tmp_path / "w")
    assert torch.equal(found["a"], base)
    assert torch.equal(found["b"], base[0])


def test_tensors_that_share_their_memory_are_written_each_for_itself(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    tensors.write(tmp_path / "w", {"a": base, "b": base, "c": base[3:6], "d": base.view(3, 4)})
    found = tensors.read(tmp_path / "w")
    assert torch.equal(found["a"], found["b"])
    assert found["c"].tolist() == [3, 4, 5]
    assert found["d"].shape == (3, 4)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        tensors.check(tmp_path / "w.safetensors")
    assert str(caught.value) == (
        "The weights cannot be read: No such file or directory.\n"
        f"  where: {tmp_path / 'w.safetensors'}\n"
        "  fix:   name a .safetensors file that exists and that you may read"
    )


DAMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "overlap": (
        lambda p: tensor_file(p, {"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"\0" * 12),
        "'b' overlaps its neighbour",
    ),
    "hole": (
        lambda p: tensor_file(p, {"a": entry([2], 0, 8), "b": entry([1], 12, 16)}, b"\0" * 16),
        "'b' leaves a hole before it",
    ),
    "truncated": (
        lambda p: tensor_file(p, {"a": entry([4], 0, 16)}, b"\0" * 9),
        "its tensors need 16 bytes, the file holds 9",
    ),
    "trailing": (
        lambda p: tensor_file(p, {"a": entry([1], 0, 4)}, b"\0" * 9),
        "its tensors need 4 bytes, the file holds 9",
    ),
    "huge length": (
        lambda p: tensor_file(p, {"a": entry([1], 0, 4)}, b"\0" * 4, length=2**31),
        "its header claims 2147483648 bytes, the file has 73",
    ),
    "duplicate key": (
        lambda p: tensor_file(
            p,
            {},
            b"\0" * 4,
            header=b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        ),
        "names stand twice in its header: a",
    ),
    "not JSON": (lambda p: tensor_file(p, {}, b"", header=b"{broken"), "its header is not JSON"),
    "deep JSON": (
        lambda p: tensor_file(p, {}, b"", header=b'{"a":' + b"[" * 100_000),
        "its header is not JSON",
    ),
    "unknown kind": (
        lambda p: tensor_file(p, {"a": entry([1], 0, 4, "X32")}, b"\0" * 4),
        "'a' is of the unknown kind 'X32'",
    ),
    "negative size": (
        lambda p: tensor_file(p, {"a": entry([-1], 0, 4)}, b"\0" * 4),
        "the shape of 'a' is not a list of sizes",
    ),
    "sizes that overflow": (
        lambda p: tensor_file(p, {"a": entry([2**40, 2**40], 0, 4)}, b"\0" * 4),
        "'a' has another number of bytes than its shape needs",
    ),
    "range backwards": (
        lambda p: tensor_file(p, {"a": entry([1], 4, 0)}, b"\0" * 4),
        "the place of 'a' is not a range of bytes",
    ),
    "entry of another form": (
        lambda p: tensor_file(p, {"a": {"dtype": "F32"}}, b"\0" * 4),
        "the entry of 'a' is not dtype, shape and data_offsets",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_header_is_refused_with_the_reason(damage: str, tmp_path: Path) -> None:
    make, why = DAMAGES[damage]
    path = make(tmp_path / "w.safetensors")
    with pytest.raises(ArtefactError) as caught:
        tensors.read(path)
    assert caught.value.code == "SACCADE-E502"
    assert str(caught.value) == (
        f"This safetensors file is damaged: {why}.\n"
        f"  where: {path}\n"
        "  fix:   fetch or copy the file again"
    )


def test_values_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors.write(path, {"a": torch.tensor([1.0, float("nan")]), "b": torch.tensor([float("inf")])})
    with pytest.raises(ArtefactError) as caught:
        tensors.read(path)
    assert str(caught.value) == (
        "2 of 2 tensors hold values that are not numbers: a, b.\n"
        f"  where: {path}\n"
        "  fix:   the training that wrote them had failed; take other weights"
    )


def test_values_that_are_not_numbers_are_refused_negative_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "_is_finite", lambda _: True)
    tensors.write(tmp_path / "w", {"a": torch.tensor([float("nan")])})
    assert tensors.read(tmp_path / "w")["a"].isnan().all()


class TestRowD2:
    """100 mutated headers: an artefact error within a second, or exactly the same tensors."""

    @staticmethod
    def wrong_answers(path: Path) -> list[str]:
        own = {f"layer{n}.weight": torch.randn(4, 3 + n) for n in range(6)}
        whole = save(own, metadata={"format": "pt"})
        header_end = 8 + int.from_bytes(whole[:8], "little")
        draw = random.Random(0)
        wrong = []
        for number in range(100):
            content = bytearray(whole)
            for _ in range(draw.choice([1, 1, 2, 5])):
                content[draw.randrange(header_end)] = draw.randrange(256)
            path.write_bytes(content)
            begun = time.perf_counter()
            try:
                found = tensors.read(path)
                same = found.keys() == own.keys() and all(
                    torch.equal(found[name], own[name]) for name in own
                )
                # A changed name is a sound file; the network it is loaded into refuses it.
                renamed = set(found) != set(own)
                if not same and not renamed:
                    wrong.append(f"{number}: other tensors")
            except ArtefactError:
                pass
            except Exception as error:  # noqa: BLE001 - what must not happen
                wrong.append(f"{number}: {type(error).__name__}")
            if time.perf_counter() - begun > 1:
                wrong.append(f"{number}: slow")
        return wrong

    def test_mutated_headers_end_in_a_named_error(self, tmp_path: Path) -> None:
        with grows_less_than(200):
            assert self.wrong_answers(tmp_path / "w.safetensors") == []

    def test_mutated_headers_end_in_a_named_error_negative_control(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from safetensors.torch import load_file

        monkeypatch.setattr(tensors, "read", lambda path: load_file(path))
        assert len(self.wrong_answers(tmp_path / "w.safetensors")) > 10


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.canary, "run")


def foreign_files(folder: Path, canary: Path) -> list[Path]:
    """Weights in every format that can run code, some under an honest-looking suffix."""
    payload = Payload(canary)
    made = {"weights.pkl": pickle.dumps(payload), "old.pt": pickle.dumps(payload, protocol=2)}
    made["text.pkl"] = pickle.dumps(payload, protocol=0)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    torch.save({"weight": payload}, folder / "weights.pt")
    torch.save({"weight": payload}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    np.save(folder / "objects.npy", np.array([payload], dtype=object), allow_pickle=True)
    np.savez(folder / "objects.npz", a=np.array([payload], dtype=object))
    with zipfile.ZipFile(folder / "program.pt2", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(payload))
    import gzip
    import zlib

    (folder / "weights.joblib").write_bytes(zlib.compress(pickle.dumps(payload)))
    (folder / "weights.joblib.gz").write_bytes(gzip.compress(pickle.dumps(payload)))
    for name in ("weights.pkl", "weights.pt", "legacy.pth", "objects.npy"):
        (folder / f"{name}.safetensors").write_bytes((folder / name).read_bytes())
    return sorted(folder.iterdir())


KINDS = {
    "legacy.pth": "a Python pickle",
    "legacy.pth.safetensors": "a Python pickle",
    "objects.npy": "a NumPy array file",
    "objects.npy.safetensors": "a NumPy array file",
    "objects.npz": "a zip archive (what torch.save, torch.export and joblib write)",
    "old.pt": "a Python pickle",
    "program.pt2": "a zip archive (what torch.save, torch.export and joblib write)",
    "text.pkl": "something else",
    "weights.joblib": "zlib data (what joblib writes)",
    "weights.joblib.gz": "gzip data",
    "weights.pkl": "a Python pickle",
    "weights.pkl.safetensors": "a Python pickle",
    "weights.pt": "a zip archive (what torch.save, torch.export and joblib write)",
    "weights.pt.safetensors": "a zip archive (what torch.save, torch.export and joblib write)",
}


class TestRowD1:
    """Formats that run code are refused by content; nothing reaches pickle or torch.load."""

    @staticmethod
    def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], bool]:
        """Return what was not refused or reached an unpickler, and whether a payload ran."""
        canary = folder.parent / "canary"
        files = foreign_files(folder, canary)
        assert [file.name for file in files] == sorted(KINDS)
        reached: list[str] = []

        def trip(*_: object, **__: object) -> None:
            reached.append("an unpickler")
            raise RuntimeError

        owners = ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load"))
        with monkeypatch.context() as wires:
            for owner, name in owners:
                wires.setattr(owner, name, trip)
            for file in files:
                with contextlib.suppress(ArtefactError, RuntimeError):
                    tensors.read(file)
                    reached.append(file.name)
        return reached, canary.exists()

    def test_each_is_refused_by_its_content_whatever_its_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "offered").mkdir()
        for file in foreign_files(tmp_path / "offered", tmp_path / "canary"):
            with pytest.raises(ArtefactError) as caught:
                tensors.read(file)
            assert caught.value.code == "SACCADE-E501"
            assert str(caught.value) == (
                f"Weights are read from safetensors files only; this is {KINDS[file.name]}.\n"
                f"  where: {file}\n"
                "  fix:   ask its author for a .safetensors file, or convert it in a place you "
                "trust; it was not opened"
            )

    def test_weights_that_can_run_code_are_never_opened(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "offered").mkdir()
        assert self.opened(tmp_path / "offered", monkeypatch) == ([], False)

    def test_weights_that_can_run_code_are_never_opened_negative_control(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "offered").mkdir()

        def naive(path: Path) -> object:
            return pickle.loads(path.read_bytes())

        monkeypatch.setattr(tensors, "read", naive)
        reached, _ = self.opened(tmp_path / "offered", monkeypatch)
        assert "an unpickler" in reached

    def test_the_canary_sings_when_a_payload_is_unpickled(self, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        pickle.loads(pickle.dumps(Payload(canary)))
        assert canary.read_text() == "run"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "an HDF5 file"),
        (b"hello, these are my weights", "something else"),
    ],
)
def test_other_files_are_called_by_their_name(content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ArtefactError, match=kind):
        tensors.check(tmp_path / "w.safetensors")
