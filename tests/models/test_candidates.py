"""Which networks are entered for a race: what is at hand, or what was named; nothing else."""

from pathlib import Path

import pytest
import torch

from saccade.models import backbones, candidates, tensors
from saccade.models.candidates import AUTO, DEFAULT_MODEL, gather
from saccade.runtime.errors import ArtefactError, ResourceError, UsageError

FREE = {"apache-2.0", "mit", "bsd-3-clause"}


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.delenv("SACCADE_WEIGHTS", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def folder(tmp_path: Path):
    """Return a function that writes files of one tensor and returns their folder."""

    def make(*names: str) -> Path:
        place = tmp_path / "weights"
        for name in names:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            tensors.write(place / name, {"some.weight": torch.zeros(2)})
        return place

    return make


def names(asked: str, weights: object) -> list[str]:
    return [entrant.name for entrant in gather(asked, weights=str(weights)).entrants]


@pytest.mark.parametrize("candidate", AUTO, ids=lambda c: c.name)
def test_every_candidate_of_auto_exists_with_weights_under_a_free_licence(candidate) -> None:
    found = backbones.find(candidate.name)
    assert found.hub_id
    assert found.licence in FREE


def test_auto_enters_what_is_at_hand_in_the_order_of_the_list(folder) -> None:
    place = folder(
        "resnet18.safetensors",
        "mobilenetv2_100.ra_in1k.safetensors",
        "convnext_atto/model.safetensors",
        "resnet34.safetensors",  # not on the list
    )
    assert names("auto", place) == ["mobilenetv2_100", "resnet18", "convnext_atto"]


def test_auto_also_enters_what_the_hubs_cache_has(folder, monkeypatch, tmp_path) -> None:
    repo = tmp_path / "hub-cache" / "models--timm--resnet18.a1_in1k"
    snapshot = repo / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123")
    tensors.write(snapshot / "model.safetensors", {"some.weight": torch.zeros(2)})
    monkeypatch.setenv("SACCADE_WEIGHTS", str(folder("mobilenetv2_100.safetensors")))
    assert names("auto", "auto") == ["mobilenetv2_100", "resnet18"]


def test_auto_with_one_network_at_hand_is_no_race(folder) -> None:
    field = gather("auto", weights=str(folder("resnet50.safetensors")))
    assert [entrant.name for entrant in field.entrants] == ["resnet50"]
    assert not field.is_race


def test_auto_with_nothing_at_hand_asks_for_the_default_alone(monkeypatch) -> None:
    asked: list[str] = []

    def download(backbone):
        asked.append(backbone.name)
        raise ConnectionError("the hub cannot be reached")

    monkeypatch.setattr(backbones, "download", download)
    with pytest.raises(ResourceError) as error:
        gather("auto")
    assert error.value.code == "SACCADE-E411"
    assert asked == [DEFAULT_MODEL]


def test_auto_without_weights_is_the_default_from_random_ones(folder, monkeypatch) -> None:
    monkeypatch.setenv("SACCADE_WEIGHTS", str(folder("resnet18.safetensors")))
    (entrant,) = gather("auto", weights="none").entrants
    assert (entrant.name, entrant.weights) == (DEFAULT_MODEL, None)


def test_auto_with_one_file_takes_the_network_that_the_file_names(folder) -> None:
    place = folder("resnet18.safetensors", "mine.safetensors")
    assert names("auto", place / "resnet18.safetensors") == ["resnet18"]
    assert names("auto", place / "mine.safetensors") == [DEFAULT_MODEL]


def test_a_folder_with_one_model_counts_for_the_architecture_it_states_only(folder) -> None:
    place = folder("model.safetensors")
    assert names("auto", place) == [DEFAULT_MODEL]  # whose loading then says whether it fits
    (place / "config.json").write_text('{"architecture": "resnet18"}')
    assert names("auto", place) == ["resnet18"]


def test_auto_leaves_out_a_damaged_file_and_says_so(folder) -> None:
    place = folder("mobilenetv2_100.safetensors", "resnet18.safetensors", "resnet50.safetensors")
    (place / "resnet18.safetensors").write_bytes(b"no tensors at all")
    field = gather("auto", weights=str(place))
    assert [entrant.name for entrant in field.entrants] == ["mobilenetv2_100", "resnet50"]
    ((name, why),) = field.left_out
    assert name == "resnet18"
    assert "safetensors" in why


def test_the_only_file_at_hand_being_damaged_is_an_error(folder) -> None:
    place = folder("resnet18.safetensors")
    (place / "resnet18.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(ArtefactError):
        gather("auto", weights=str(place))


def test_named_networks_are_entered_as_named_and_once_each(folder) -> None:
    place = folder("resnet18.safetensors", "resnet34.safetensors")
    asked = "resnet34, resnet18,resnet34.a1_in1k"
    assert names(asked, place) == ["resnet34", "resnet18"]


def test_one_name_is_no_race(folder) -> None:
    field = gather("resnet18,", weights=str(folder("resnet18.safetensors")))
    assert not field.is_race


def test_a_named_network_that_cannot_be_had_is_named(folder) -> None:
    with pytest.raises(ResourceError) as error:
        gather("resnet18,resnet34", weights=str(folder("resnet18.safetensors")))
    assert error.value.message.startswith("The folder holds no weights for resnet34")


def test_an_unknown_name_is_told_before_anything_is_fetched(monkeypatch) -> None:
    monkeypatch.setattr(candidates, "fetch", lambda *_, **__: pytest.fail("fetched"))
    with pytest.raises(UsageError, match="There is no network named 'resnet19'"):
        gather("resnet18,resnet19")


@pytest.mark.parametrize(
    ("asked", "weights", "message"),
    [
        ("resnet18,cnn", "auto", "cnn learns from scratch"),
        ("resnet18,resnet34", "none", "--weights is none"),
        (",", "auto", "names no network"),
    ],
)
def test_what_cannot_race_is_refused(asked: str, weights: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        gather(asked, weights=weights)
    assert error.value.code == "SACCADE-E219"


def test_one_file_cannot_be_the_weights_of_two_networks(folder) -> None:
    file = folder("resnet18.safetensors") / "resnet18.safetensors"
    with pytest.raises(UsageError, match="is one file of weights") as error:
        gather("resnet18,resnet34", weights=str(file))
    assert str(error.value) == (
        f"2 networks are to race, but {file} is one file of weights.\n"
        "  where: --model\n"
        "  fix:   name one network, or several of timm's, with --weights FOLDER if they are not "
        "to be downloaded"
    )
