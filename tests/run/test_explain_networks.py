"""What each network makes of a photo is told from the ledger and the bundle alone."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from embedding_helpers import with_other_head
from helpers import load_slice
from people import Person, draw_figure
from PIL import Image
from run_helpers import Command, Night, query

from tagger.adaptation.adapt import adapt
from tagger.adaptation.settings import AdaptSettings
from tagger.data.labels import LABELS
from tagger.errors import BundleError, LedgerDamagedError
from tagger.run import explain
from tagger.run.explain_networks import EXPERTS, NONE, by_label, networks_text

Explain = Callable[..., dict[str, Any]]

NO_NAME = "The bundle that scored it is not among those that have a name; give its folder with --model."


@pytest.fixture
def known(tmp_path: Path) -> Explain:
    """Explain a photo of the output of the fixture `night`."""

    def call(path: str = "0001.jpg", model: Path | None = None) -> dict[str, Any]:
        return explain.explain(path, tmp_path / "tags.ledger", None if model is None else str(model))

    return call


@pytest.fixture
def own_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own bundles, empty."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("FMTAG_MODELS", str(folder))
    return folder


def test_each_network_is_told_without_the_photo(night: Night, shop: Path, fused_bundle: Path, known: Explain) -> None:
    """All labels by each network, the likeliest first and none of these last; all together gives the row's probabilities."""
    night(model=str(fused_bundle))
    shutil.rmtree(shop)
    found = known(model=fused_bundle)
    networks = found["networks"]
    assert (networks["part"], networks["native"], networks["adapted"]) == (None, False, False)
    for name in EXPERTS:
        labels = list(networks[name])
        assert sorted(labels) == sorted([*LABELS, NONE])
        assert labels[-1] == NONE
        assert sorted(labels[:-1], key=lambda label: -networks[name][label]) == labels[:-1]
    assert networks["together"] == pytest.approx(found["probabilities"], abs=1e-4)
    assert len({json.dumps(networks[name], sort_keys=True) for name in EXPERTS}) == len(EXPERTS)


def test_the_text_has_a_line_for_each_network(
    night: Night, fused_bundle: Path, known: Explain, command: Command, tmp_path: Path
) -> None:
    """With its three likeliest labels and none of these; the command takes the bundle with --model."""
    night(model=str(fused_bundle))
    networks = known(model=fused_bundle)["networks"]
    options = ("explain", "0001.jpg", "--ledger", tmp_path / "tags.ledger", "--model", fused_bundle)
    code, text, _ = command(*options)
    lines = text.splitlines()
    start = lines.index("  each network on the product:")
    assert code == 0
    for line, (name, title) in zip(lines[start + 1 :], EXPERTS.items(), strict=False):
        top = list(networks[name].items())[:3]
        rest = "its other classes" if name == "imagenet_classes" else NONE
        shown = ", ".join(f"{label} {value:.4f}" for label, value in [*top, (rest, networks[name][NONE])])
        assert line == f"    {title}: {shown}"
    _, values, _ = command(*options, "--json")
    assert json.loads(values)["networks"] == networks


def test_a_bundle_with_a_name_is_found(
    night: Night, fused_bundle: Path, known: Explain, own_bundles: Path, command: Command
) -> None:
    """A bundle in the user's folder need not be given, whatever lies beside it, nor need the default one."""
    for name in ("damaged", "other"):
        shutil.copytree(fused_bundle, own_bundles / name)
    (own_bundles / "damaged" / "card.json").write_text("{")
    with_other_head(fused_bundle, own_bundles / "third")
    elsewhere = own_bundles.parent / "elsewhere"
    shutil.move(own_bundles / "other", elsewhere)
    night(model=str(elsewhere))
    assert (known()["networks"], known()["networks_unknown"]) == (None, NO_NAME)
    assert f"  each network: not known. {NO_NAME}" in explain.as_text(known()).splitlines()
    command("models", "default", elsewhere)
    by_default = known()["networks"]
    (own_bundles / "default").unlink()
    shutil.move(elsewhere, own_bundles / "other")
    assert known()["networks"] == by_default == known(model=own_bundles / "third")["networks"]
    assert by_default is not None


def test_a_damaged_bundle_leaves_the_rest(night: Night, fused_bundle: Path, known: Explain, tmp_path: Path) -> None:
    """The ledger's own knowledge is shown with one sentence on the bundle; a --model that is none is an error."""
    mine = Path(shutil.copytree(fused_bundle, tmp_path / "mine"))
    night(model=str(mine))
    for file in mine.glob("weights-*"):
        file.write_bytes(b"")
    found = known(model=mine)
    assert found["networks"] is None
    assert found["networks_unknown"].startswith(f"The bundle {mine} is damaged: ")
    assert len(found["probabilities"]) == len(LABELS) + 1
    with pytest.raises(BundleError, match="There is no bundle"):
        known(model=tmp_path / "nothing")


@pytest.mark.parametrize("damage", ["x'00'", "'text'"])
def test_a_damaged_embedding_is_one_sentence(
    night: Night, fused_bundle: Path, known: Explain, tmp_path: Path, damage: str
) -> None:
    """An embedding that the bundle cannot read is damage to the ledger."""
    night(model=str(fused_bundle))
    with closing(sqlite3.connect(tmp_path / "tags.ledger")) as sql, sql:
        sql.execute(f"UPDATE embeddings SET embedding = {damage}")
    with pytest.raises(LedgerDamagedError, match=r"^The ledger is damaged: .*\.$"):
        known(model=fused_bundle)


def test_photos_without_an_embedding_have_no_networks(
    night: Night, shop: Path, small_bundle: Path, fused_bundle: Path, known: Explain
) -> None:
    """One without a product, a damaged one, and all of a bundle without a backbone, also when another one had embeddings."""
    Image.new("RGB", (200, 200), "white").save(shop / "blank.png")
    night(model=str(fused_bundle))
    for path in ("blank.png", "broken.jpg"):
        assert (known(path)["networks"], known(path)["networks_unknown"]) == (None, "")
    night()
    found = known()
    assert (found["networks"], found["networks_unknown"], found["embedded"]) == (None, "", None)
    assert "each network" not in explain.as_text(found)


def test_an_adapted_bundle_tells_the_networks_apart_from_the_shop(
    night: Night, shop: Path, fused_bundle: Path, known: Explain, tmp_path: Path
) -> None:
    """The networks are those of the bundle before, to the bit; the row's probabilities are the adapter's, of its labels."""
    night(model=str(fused_bundle))
    before = known(model=fused_bundle)["networks"]
    table = tmp_path / "labels.csv"
    rows = [f"{shop / f'{number:04d}.jpg'},{('belt', 'hat')[number % 2]}" for number in range(8)]
    table.write_text("\n".join(["path,label", *rows]))
    mine = tmp_path / "mine"
    settings = {"labels": str(table), "other_labels": "drop", "force": True, "device": "cpu"}
    adapt(AdaptSettings(str(shop), str(mine), start=str(fused_bundle), **settings))  # type: ignore[arg-type]
    assert night(model=str(mine)).retagged == 9
    found = known(model=mine)
    assert found["networks"] == before | {"adapted": True}
    assert list(found["probabilities"])[-1] == NONE
    assert set(found["probabilities"]) == {"belt", "hat", NONE}
    assert found["embedded"]["run"] == 1
    assert any(line.startswith("    together, before the shop's adapter: ") for line in explain.as_text(found).splitlines())


def test_the_part_of_a_person_is_told(night: Night, shop: Path, fused_bundle: Path, known: Explain, tmp_path: Path) -> None:
    """It is the one in the embedding, which of a whole figure is one of three; labels that it cannot show have nothing."""
    Image.fromarray(draw_figure(Person()).pixels).resize((480, 1024)).save(shop / "person.png")
    night(model=str(fused_bundle))
    found = known("person.png", fused_bundle)
    stored = query(
        tmp_path / "tags.ledger",
        "SELECT embedding FROM embeddings JOIN items USING (content) WHERE key = 'person.png'",
    )
    assert {2: "upper", 3: "lower", 4: "whole"}[stored[0][0][0]] == found["networks"]["part"]
    assert found["networks"]["small_network"]["Bag"] == found["networks"]["together"]["Bag"] == 0
    (line,) = (line for line in explain.as_text(found).splitlines() if "each network" in line)
    assert line.endswith((" of a person:", " a person from the neck down:"))


def test_an_image_of_fashion_mnist_has_one_network(night: Night, shop: Path, fused_bundle: Path, known: Explain) -> None:
    """The backbone has not seen it, and the text has no line for it."""
    Image.fromarray(load_slice().pixels[0, 0].numpy()).save(shop / "native.png")
    night(model=str(fused_bundle))
    networks = known("native.png", fused_bundle)["networks"]
    assert networks["native"]
    assert networks["imagenet_classes"] is networks["features_head"] is None
    assert networks["small_network"] == networks["together"]
    assert len(networks_text(networks)) == 3
    assert networks_text(networks)[0] == "each network on an image like those of Fashion-MNIST:"


def test_labels_are_sorted_and_none_stays_last() -> None:
    """By their probabilities, rounded to four digits; none of the labels stays last whatever it has."""
    assert list(by_label(["a", "b", "c"], [0.10004, 0.2, 0.0, 0.69996]).items()) == [
        ("b", 0.2),
        ("a", 0.1),
        ("c", 0.0),
        (NONE, 0.7),
    ]
