"""Checkpoint files: replaced after each epoch, and refused where they are damaged or of another training."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tagger.errors import TrainingError
from tagger.files import atomic_write
from tagger.training.compatibility import listed
from tagger.training.job import TrainingJob
from tagger.training.recipe import with_current_names

CHECKPOINT_FORMAT = 8

# What loading a file that is no checkpoint can raise; torch warns of a pickle before it refuses it.
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


def training_identity(job: TrainingJob) -> dict[str, Any]:
    """Return what has to be equal for a training to be resumed: recipe, shape, labels and images."""
    return {
        "recipe": asdict(job.recipe),
        "config": asdict(job.config),
        "labels": list(job.images.names),
        "pictures": job.images.fingerprint(),
        "held_out": "" if job.held_out is None else job.held_out.fingerprint(),
    }


def save(path: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint `path` by a training's state: tensors, numbers and texts by their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        torch.save({"format": CHECKPOINT_FORMAT, **identity, **state}, file)


def load(path: Path, identity: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the state in a checkpoint, its tensors on `device`; raises `TrainingError` where it is of another training.

    Run it within `damage_as_error`, which handles whatever a damaged file raises.
    """
    # weights_only: a checkpoint is data, and loading it must not run code from the file.
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise TrainingError(f"{path} is no checkpoint of this version of fmtag; leave --resume out to start anew.")
    state["recipe"] = with_current_names(state["recipe"])
    changed = [name for name in identity if state[name] != identity[name]]
    if changed:
        raise TrainingError(
            f"{path} was begun with {_differences(changed, state, identity)}; give the same ones, or leave --resume out to "
            "start anew."
        )
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


def _differences(changed: list[str], state: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """Return in words which inputs a checkpoint was begun with instead of those of `identity`."""
    if "labels" in changed:
        return f"the labels {listed(state['labels'])}, not {listed(identity['labels'])}"
    if "recipe" in changed or "config" in changed:
        return "other settings"
    return "other photos, or other labels of them"
