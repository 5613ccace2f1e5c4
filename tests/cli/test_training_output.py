"""The lines of a training: one per epoch, and the metrics of the new bundle."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tagger.cli.training_output import print_epoch, print_trained


def test_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Loss, held-out accuracy where anything is held out, seconds and the time left stand on one line of standard error."""
    epoch = SimpleNamespace(epoch=2, epochs=10, loss=0.5, held_out_accuracy=0.875, seconds=3.0, seconds_left=24.0)
    print_epoch(epoch)
    print_epoch(SimpleNamespace(**vars(epoch) | {"held_out_accuracy": None}))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "epoch 2/10  loss 0.5000  held-out accuracy 0.8750  3 s, 00:24 left",
        "epoch 2/10  loss 0.5000  3 s, 00:24 left",
    ]


def test_a_bundle_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts that were measured, the size of the network and the place of the report are printed."""
    test = {"accuracy": 0.9, "calibration_error": 0.01, "n": 1_000}
    card = SimpleNamespace(metrics={"test": test, "parameters": 12_345, "macs": 6_789})
    print_trained(SimpleNamespace(bundle=SimpleNamespace(card=card, model="x\n@1")), Path("new/report.html"))
    assert capsys.readouterr().out.splitlines() == [
        "test      accuracy 0.9000, calibration error 0.0100, n = 1,000",
        "x\\n@1: 12,345 parameters, 6,789 MACs",
        "report: new/report.html",
    ]
