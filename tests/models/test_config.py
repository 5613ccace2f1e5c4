"""Architectures are described by a `NetworkConfig`, which refuses those that cannot be built."""

from typing import Any

import pytest

from tagger.models.config import FAMILIES, MAX_ENSEMBLE_MEMBERS, NetworkConfig


def test_blocks_are_given_for_all_stages_or_for_each() -> None:
    """One number of blocks holds for every stage."""
    assert NetworkConfig(widths=(8, 16, 24), blocks=2).depths == (2, 2, 2)
    assert NetworkConfig(widths=(8, 16, 24), blocks=(1, 3, 2)).depths == (1, 3, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_flattened_maps_need_28_pixels(family: Any) -> None:
    """All families but the plain one take images of any size."""
    assert NetworkConfig(family=family).sees_any_side == (family != "plain")


@pytest.mark.parametrize(
    "values",
    [
        {"widths": (1,)},
        {"widths": (4096, 8, 8, 8)},
        {"blocks": 32},
        {"stem": 4096},
        {"classes": 2},
        {"classes": 10_000},
        {"classes": 5, "photo_classes": 6},
        {"photo_classes": 10},
        {"deviation": 1e-6},
        {"dense": (1, 4096, 8, 8), "dropout": 0.999},
        {"members": MAX_ENSEMBLE_MEMBERS},
    ],
)
def test_values_at_the_bounds_are_accepted(values: dict[str, Any]) -> None:
    """The extremes of each range are architectures too."""
    config = NetworkConfig(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"widths": ()}, "widths"),
        ({"widths": (8,) * 5}, "widths"),
        ({"widths": (0,)}, "widths"),
        ({"widths": (4097,)}, "widths"),
        ({"blocks": 0}, "blocks"),
        ({"blocks": 33}, "blocks"),
        ({"blocks": (1, 1)}, "blocks"),
        ({"family": "transformer"}, "family"),
        ({"dense": (8,) * 5}, "dense"),
        ({"dense": (0,)}, "dense"),
        ({"dense": (4097,)}, "dense"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"stem": -1}, "stem"),
        ({"stem": 4097}, "stem"),
        ({"classes": 1}, "classes"),
        ({"classes": 10_001}, "classes"),
        ({"deviation": 0.0}, "deviation"),
        ({"deviation": float("inf")}, "deviation"),
        ({"photo_classes": 9}, "photo_classes"),
        ({"photo_classes": 12}, "photo_classes"),
        ({"mean": float("nan")}, "mean"),
        ({"members": 0}, "members"),
        ({"members": MAX_ENSEMBLE_MEMBERS + 1}, "members"),
    ],
)
def test_values_beyond_the_bounds_are_refused(values: dict[str, Any], name: str) -> None:
    """The error names the value that is impossible or absurd."""
    with pytest.raises(ValueError, match=name):
        NetworkConfig(**values)
