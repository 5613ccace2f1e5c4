"""Checkpoints of a training: a file that is replaced after each epoch, and refused where it is of another training."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.files import atomic_write
from tagger.models.config import NetworkConfig
from tagger.training.recipe import Recipe, with_current_names

CHECKPOINT_FORMAT = 8

# What loading a checkpoint that is none can raise; torch warns of a pickle before it refuses it.
_DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    Warning,
    pickle.UnpicklingError,
)


def training_identity(recipe: Recipe, config: NetworkConfig, pictures: Images, held_out: Images | None) -> dict[str, Any]:
    """Return what has to be the same for a training to go on: recipe, shape, labels and pictures."""
    return {
        "recipe": asdict(recipe),
        "config": asdict(config),
        "labels": list(pictures.names),
        "pictures": pictures.fingerprint(),
        "held_out": "" if held_out is None else held_out.fingerprint(),
    }


def save(path: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint in `path` by the state of a training: tensors, numbers and texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        torch.save({"format": CHECKPOINT_FORMAT, **identity, **state}, file)


def load(path: Path, identity: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the state in a checkpoint, its tensors on `device`; raises `TrainingError` where it is of another training.

    What a damaged file raises is for `damage_as_error` to catch.
    """
    # weights_only: a checkpoint is data, and loading it must not run code from the file.
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise TrainingError(f"{path} is no checkpoint of this fmtag; leave --resume out to start anew.")
    state["recipe"] = with_current_names(state["recipe"])
    changed = [name for name in identity if state[name] != identity[name]]
    if changed:
        begun = "other settings"
        if "recipe" not in changed and "config" not in changed:
            begun = "other photos, or other labels of them"
        if "labels" in changed:
            begun = f"the labels {_listed(state['labels'])}, not {_listed(identity['labels'])}"
        raise TrainingError(f"{path} was begun with {begun}; give the same ones, or leave --resume out to start anew.")
    return state


@contextmanager
def damage_as_error(path: Path) -> Iterator[None]:
    """Turn whatever a missing or damaged checkpoint raises into a `TrainingError` of one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise TrainingError(f"There is no {path} to resume from; leave --resume out to start anew.") from None
    except _DAMAGE as error:
        raise TrainingError(f"{path} is damaged or no checkpoint; leave --resume out to start anew.") from error


def _listed(labels: list[str]) -> str:
    """Return the labels as a sentence takes them, of many the first ones."""
    return ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
