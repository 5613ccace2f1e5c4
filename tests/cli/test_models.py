"""`fmtag models`: the list, a card with its layers, the default."""

import json
from pathlib import Path

from helpers import RunCli

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
    rows = [line.split() for line in shown.out[end:].splitlines() if line.strip()]
    assert rows[0] == ["layer", "kind", "output", "parameters", "MACs"]
    assert ["head", "Linear", "10", "170", "160"] in rows
    assert rows[-1][0] == "all"
