"""`fmtag models`: the list, a card with its layers, the default."""

import json
import shutil
from pathlib import Path

import pytest
from helpers import RunCli, assert_one_sentence

from tagger.data.labels import LABELS


def test_models(cli: RunCli, small_bundle: Path) -> None:
    """`models` lists a line for each shipped bundle; `models show` prints a bundle's card as JSON, then its layers."""
    result = cli("models")
    assert (result.code, result.err) == (0, "")
    assert all("+g" in line for line in result.out.splitlines())
    shown = cli("models", "show", small_bundle)
    assert (shown.code, shown.err) == (0, "")
    card, end = json.JSONDecoder().raw_decode(shown.out)
    assert card["model"].startswith("small@")
    assert card["labels"] == list(LABELS)
    assert list(card["files"]) == ["weights"]
    assert (small_bundle / card["files"]["weights"]["file"]).is_file()
    rows = [line.split() for line in shown.out[end:].splitlines() if line.strip()]
    assert rows[0] == ["layer", "kind", "output", "parameters", "MACs"]
    assert ["head", "Linear", "10", "170", "160"] in rows
    assert rows[-1][0] == "all"


def test_a_bundle_with_a_backbone_is_listed_and_shown(
    cli: RunCli, fused_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`models` lists it as any other; `models show` names the file of its backbone too."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    shutil.copytree(fused_bundle, tmp_path / "both")
    assert any(line.startswith("fused@") for line in cli("models").out.splitlines())
    card, _ = json.JSONDecoder().raw_decode(cli("models", "show", "both").out)
    assert list(card["files"]) == ["weights", "backbone"]
    assert (tmp_path / "both" / card["files"]["backbone"]["file"]).is_file()


def test_the_default_is_set_and_marked(
    cli: RunCli, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`models default` names the bundle that it sets, and the list marks it, be it named or a folder."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    shutil.copytree(small_bundle, tmp_path / "mine")
    assert next(line for line in cli("models").out.splitlines() if line.endswith("  default")).startswith("catalog@")
    for name in ("mine", f"{tmp_path / 'mine'}"):
        result = cli("models", "default", name)
        assert (result.code, result.out) == (0, "")
        assert result.err.startswith("small@")
        marked = [line for line in cli("models").out.splitlines() if line.endswith("  default")]
        assert [line.split("  ")[0].split("@")[0] for line in marked] == ["small"]
        assert "own, Fashion-MNIST test accuracy" in marked[0]


def test_a_damaged_bundle_is_listed_as_such(cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken bundle does not hide the others."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    result = cli("models")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()][-1] == "broken"
    assert_one_sentence(cli("models", "show", "broken"), 1, "broken")
