import pytest

from saccade.models import listing
from saccade.models.listing import NetworkRow


def test_a_few_are_listed_with_all_there_is_to_know() -> None:
    rows = list(listing.listing("test_resn*"))
    # parameters: timm's documentation of test_resnet ("0.47 M"); the rest: its pretrained_cfg
    assert rows == [
        NetworkRow(
            name="test_resnet",
            num_parameters=469_688,
            flops=205_094_400,
            input_px=160,
            licence="apache-2.0",
            has_weights=True,
        )
    ]


def test_part_of_a_name_is_a_pattern_too() -> None:
    names = [row.name for row in listing.listing("resnet18", measured=False)]
    assert "resnet18" in names
    assert "legacy_seresnet18" in names
    assert "resnet50" not in names


def test_all_are_listed_quickly_and_unmeasured() -> None:
    rows = list(listing.listing())
    assert [row.name for row in rows[:2]] == ["cnn", "mlp"]
    assert len(rows) > 1_200
    assert all(row.num_parameters is None and row.flops is None for row in rows)
    assert len({row.name for row in rows}) == len(rows)
    licences = {row.licence for row in rows}
    assert {"apache-2.0", "mit", "cc-by-nc-4.0"} <= licences


def test_networks_from_scratch_are_measured_too() -> None:
    row = next(iter(listing.listing("mlp", measured=True)))
    assert row.num_parameters == 3 * 32 * 32 * 256 + 2 * 256 + 256 * 128 + 2 * 128 + 128 * 10 + 10
    assert row.flops == 2 * (3 * 32 * 32 * 256 + 256 * 128 + 128 * 10)
    assert not row.has_weights


def test_what_cannot_be_measured_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("data-dependent")

    monkeypatch.setattr(listing.backbones, "create", refuse)
    (row,) = listing.listing("test_resnet")
    assert row.num_parameters is None
    assert row.flops is None


def test_nothing_matches_nothing() -> None:
    assert list(listing.listing("no_such_network_at_all")) == []
