"""The inputs of a training: defaults, and those that come from a command's settings."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from helpers import save_bundle
from training_helpers import CONFIG, OTHERS, PICTURES, RECIPE

from tagger.inference.torch_device import CPU
from tagger.models import bundle
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.settings import TrainSettings


def test_a_job_needs_no_more_than_recipe_images_and_checkpoint(tmp_path: Path) -> None:
    """By default a training starts anew, from random weights, without teachers, on the CPU; it cannot be changed."""
    job = TrainingJob(RECIPE, CONFIG, PICTURES, None, tmp_path / "c.pt")
    assert (False, None, (), CPU) == (job.resume, job.start, job.teachers, job.device)
    job.on_epoch(EpochMetrics(1, 1, 0.0, None, None, 0.0, 0.0))
    with pytest.raises(FrozenInstanceError):
        job.resume = True


def test_settings_become_a_job(tmp_path: Path) -> None:
    """The checkpoint is in the folder of the new bundle, teachers are networks in evaluation mode, the rest is passed on."""
    teacher = bundle.load(str(save_bundle(tmp_path / "teacher", CONFIG)))
    history: list[EpochMetrics] = []
    settings = TrainSettings(tmp_path / "new", RECIPE, resume=True, device="cpu")
    start = teacher.network()
    job = TrainingJob.of_settings(settings, CONFIG, PICTURES, OTHERS, start, [teacher], history.append)
    assert tmp_path / "new" / "checkpoint.pt" == job.checkpoint
    assert (RECIPE, CONFIG, True, CPU) == (job.recipe, job.config, job.resume, job.device)
    assert job.images is PICTURES
    assert job.held_out is OTHERS
    assert job.start is start
    assert [False] == [network.training for network in job.teachers]
    assert np.array_equal(teacher.weights["head.weight"], job.teachers[0].head.weight.detach())
    job.on_epoch(EpochMetrics(1, 1, 0.0, None, None, 0.0, 0.0))
    assert 1 == len(history)
