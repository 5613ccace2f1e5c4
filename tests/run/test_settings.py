"""Settings of a run."""

from pathlib import Path

import pytest
from run_helpers import Command

from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary


def test_the_command_and_the_library_have_the_same_defaults(
    command: Command, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fmtag run` without options runs with the defaults of `RunSettings`."""
    used: list[RunSettings] = []

    def run(settings: RunSettings, *_: object) -> RunSummary:
        used.append(settings)
        return RunSummary()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagger.run.pipeline.run", run)
    assert command("run", "shop", "--out", "t.csv")[0] == 0
    assert used == [RunSettings("shop", "t.csv", model=str(small_bundle))]
