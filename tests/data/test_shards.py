"""One file of the pixel cache."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from saccade.data import shards
from saccade.data.cache_folder import Known
from saccade.data.catalog import Facts
from saccade.data.decode import FORMATS, NOTES
from saccade.data.shards import REFUSED, Damaged, Shard, as_entry, map_canvases, read_shard

DECODERS = dict.fromkeys(FORMATS, "one")
FACTS = [
    Facts(width_px=640, height_px=480, format="JPEG", notes=("exif-turned", "cmyk")),
    Facts(reason="unreadable", sentence="its JPEG data are damaged"),
    Facts(width_px=1, height_px=70_000, format="TIFF", notes=NOTES),
    Facts(width_px=5, height_px=6, format="PNG"),
]


def content(number: int) -> bytes:
    """A SHA-256 that ends in zeros, which NumPy's byte strings are apt to lose."""
    return bytes([number + 1]) + bytes(31)


def canvases() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)


def written(folder: Path, decoders: dict[str, str] = DECODERS) -> Shard:
    slots = [0, REFUSED, 1, 2]
    rows = [as_entry(content(n), FACTS[n], slots[n]) for n in range(4)]
    return shards.write_shard(
        folder,
        list(canvases()),
        entries=np.array(rows, shards.ENTRY),
        refused={1: (FACTS[1].reason, FACTS[1].sentence)},
        temporary=folder / "x.part",
        preprocess="key",
        canvas_px=4,
        decoders=decoders,
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    shard = written(tmp_path)
    again = read_shard(shard.path, preprocess="key")
    assert [again.facts(entry) for entry in range(4)] == FACTS
    np.testing.assert_array_equal(again.entries, shard.entries)
    np.testing.assert_array_equal(map_canvases(again, check=True), canvases())
    assert not map_canvases(again, check=True).flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == [f"{shard.name}.shard"]


def test_the_same_content_has_the_same_name_and_another_another(tmp_path: Path) -> None:
    assert written(tmp_path).name == written(tmp_path).name
    assert written(tmp_path, {**DECODERS, "GIF": "two"}).name != written(tmp_path).name


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    shard = written(tmp_path)
    sound = shard.path.read_bytes()
    for place in range(len(sound)):
        harmed = bytearray(sound)
        harmed[place] ^= 1 << place % 8
        shard.path.write_bytes(harmed)
        with pytest.raises(Damaged):
            map_canvases(read_shard(shard.path, preprocess="key"), check=True)
    shard.path.write_bytes(sound)
    map_canvases(read_shard(shard.path, preprocess="key"), check=True)


def test_every_length_but_the_right_one_is_noticed(tmp_path: Path) -> None:
    shard = written(tmp_path)
    sound = shard.path.read_bytes()
    for length in range(len(sound)):
        shard.path.write_bytes(sound[:length])
        with pytest.raises(Damaged):
            read_shard(shard.path, preprocess="key")
    shard.path.write_bytes(bytes(48) + sound)  # a whole canvas too many
    with pytest.raises(Damaged, match="too few or too many canvases"):
        read_shard(shard.path, preprocess="key")


def test_a_shard_of_another_preprocessing_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="the folder of another preprocessing"):
        read_shard(written(tmp_path).path, preprocess="another")


def test_entries_are_valid_while_their_own_decoder_is_the_same(tmp_path: Path) -> None:
    shard = written(tmp_path)
    assert shard.still_valid(DECODERS).tolist() == [True, True, True, True]
    assert shard.still_valid({**DECODERS, "PNG": "two"}).tolist() == [True, False, True, False]
    assert shard.still_valid({**DECODERS, "GIF": "two"}).tolist() == [True, False, True, True]


def test_a_part_of_a_shard_is_numbered_anew(tmp_path: Path) -> None:
    shard = written(tmp_path)
    entries, refused = shard.only(np.array([1, 2]), DECODERS)
    assert entries["slot"].tolist() == [REFUSED, 0, 1]
    assert refused == {0: ("unreadable", "its JPEG data are damaged")}
    entries, refused = shard.only(np.array([0, 2]), {**DECODERS, "GIF": "two"})
    assert entries["slot"].tolist() == [0, 1]
    assert refused == {}


def test_contents_are_found_and_others_are_not(tmp_path: Path) -> None:
    shard = written(tmp_path)
    known = Known([shard], DECODERS)
    wanted = [content(3), content(9), content(0), content(1), bytes(32), b"\xff" * 32]
    found = known.find(np.array(wanted, "S32"))
    assert (found >= 0).tolist() == [True, False, True, True, False, False]
    assert known.entries[found[found >= 0]].tolist() == [3, 0, 1]
    assert known.slots[found[found >= 0]].tolist() == [2, 0, REFUSED]
    assert Known([], DECODERS).find(np.array(wanted, "S32")).tolist() == [-1] * 6
