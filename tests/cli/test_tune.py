"""`fmtag tune`: its printing, its interruption and wrong usage; searches themselves are in tests/training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import assert_one_sentence, run_cli

from tagger.cli.tune import print_trial, print_tuned
from tagger.errors import Interrupted

FIRST = SimpleNamespace(number=1, loss=0.5, accuracy=0.8, epochs=4, seconds=12.0, why="")
BETTER = SimpleNamespace(number=3, loss=0.25, accuracy=0.9, epochs=4, seconds=12.0, why="")
STOPPED = SimpleNamespace(number=2, loss=None, accuracy=None, epochs=1, seconds=3.0, why="behind the median")


def test_a_trial_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The metrics of a trial, the best so far, and why it ended early stand on one line of standard error."""
    print_trial(FIRST, FIRST, 30)
    print_trial(STOPPED, FIRST, 30)
    assert capsys.readouterr().err.splitlines() == [
        "trial 1/30  loss 0.5000  accuracy 0.8000  12 s  best 0.5000 (trial 1)  the recipe as it stands",
        "trial 2/30  3 s  best 0.5000 (trial 1)  ended after epoch 1: behind the median",
    ]


@pytest.mark.parametrize(
    ("best", "line"),
    [
        (FIRST, "That is the recipe as it stands: no trial was better."),
        (BETTER, "The recipe as it stands: 0.5000, 0.8000. The loss is 0.2500 lower, the accuracy +0.1000."),
    ],
)
def test_a_study_is_summed_up(best: SimpleNamespace, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The best trial, its gain over the unchanged recipe, and the command that trains with it, quoted for a shell."""
    recipe = SimpleNamespace(network="tiny", epochs=130)
    print_tuned(SimpleNamespace(best=best, first=FIRST, trials=3, held_out=5_000, recipe=recipe), Path("my recipe.json"))
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"best of 3: trial {best.number}, held-out loss {best.loss:.4f}")
    assert second == line
    assert third == "Train by it, in 130 epochs: fmtag retrain --recipe 'my recipe.json' --out my-tiny"


def test_an_interrupted_search_says_how_to_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal is exit code 128 and its number, with one line."""

    def interrupt(*arguments: object) -> None:
        raise Interrupted(15)

    monkeypatch.setattr("tagger.training.tune.tune", interrupt)
    result = run_cli("tune", "--out", tmp_path / "recipe.json")
    assert (result.code, result.out) == (143, "")
    assert result.err == "Interrupted; the trials that have ended are kept, and the same command goes on after them.\n"


@pytest.mark.parametrize("wrong", ["--trials 0", "--images 999", "--images 55001", "--epochs 0", "--seed -1", "--network vast"])
def test_values_out_of_range_are_refused(tmp_path: Path, wrong: str) -> None:
    """A value that a search cannot have is wrong usage that names the option."""
    option, value = wrong.split()
    assert_one_sentence(run_cli("tune", "--out", tmp_path / "recipe.json", option, value), 2, option, value)
