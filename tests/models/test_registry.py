"""A bundle's name never means a folder of the working directory: only what is written with a separator is a folder."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from helpers import draw_photo, rows_of, save_bundle

from tagger.cli.main import cli
from tagger.data import fashion_mnist
from tagger.data.images import Images
from tagger.errors import BundleError
from tagger.inference.tagger import Tagger
from tagger.models import bundle, card
from tagger.models.config import NetworkConfig
from tagger.models.registry import _shipped_folder, default_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a photo and two bundles in folders: one of a shipped bundle's name, one of a name of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    nothing = Images(torch.zeros(8_000, 1, 28, 28, dtype=torch.uint8), torch.arange(8_000) % 10)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: nothing)
    draw_photo(1).save("shirt.jpg")
    for name in ("catalog", "uploaded"):
        save_bundle(tmp_path / name, NetworkConfig(widths=(8,), blocks=1))
    return tmp_path


def call(*arguments: str, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner(env=environment).invoke(cli, arguments, obj={}, auto_envvar_prefix="FMTAG")


def model_of(table: str) -> str:
    """Return what the column `model` of the one row of a table says."""
    return rows_of(Path(table))[0]["model"]


def test_an_uploaded_folder_does_not_become_the_default_model(here: Path) -> None:
    """Beside a bundle in ./catalog the default stays the shipped network, whatever way it is named."""
    shipped = card.read(Path(str(_shipped_folder())) / "catalog").model
    assert call("run", "shirt.jpg", "--out", "default.csv").exit_code == 0
    assert call("run", "shirt.jpg", "--out", "named.csv", "--model", "catalog").exit_code == 0
    assert [model_of("default.csv"), model_of("named.csv"), card.read("catalog").model] == [shipped] * 3
    assert Tagger("catalog").bundle.model == shipped


@pytest.mark.parametrize("given", ["./catalog", "catalog/", "{here}/catalog"])
def test_a_folder_with_a_separator_is_the_model(here: Path, given: str) -> None:
    """`./x`, `x/` and `/abs/x` are folders, on the command line and in the library."""
    given = given.format(here=here)
    uploaded = card.read(here / "catalog").model
    assert call("run", "shirt.jpg", "--out", "tags.csv", "--model", given).exit_code == 0
    assert [model_of("tags.csv"), Tagger(given).bundle.model] == [uploaded] * 2


def test_a_path_object_is_a_folder_however_it_is_written(here: Path) -> None:
    """`Path("./x")` drops its separator, so every `Path` is a folder, for the library as for what fmtag itself does."""
    assert Tagger(Path("catalog")).bundle.model == bundle.load(Path("catalog")).model == card.read("./catalog").model


@pytest.mark.parametrize(
    "command",
    [
        ("run", "shirt.jpg", "--out", "tags.csv", "--model", "uploaded"),
        ("evaluate", "shirt.jpg", "--model", "uploaded"),
        ("adapt", "shirt.jpg", "--out", "mine", "--from", "uploaded"),
        ("pick", "shirt.jpg", "--out", "picks.csv", "--from", "uploaded"),
        ("compare", "uploaded"),
        ("export", "uploaded", "--to", "torch-export", "--out", "net.pt2"),
        ("retrain", "--out", "new", "--from", "uploaded"),
        ("retrain", "--out", "new", "--distill-from", "uploaded"),
        ("retrain", "--out", "new", "--calibrated-by", "uploaded"),
        ("tune", "--out", "recipe.json", "--distill-from", "uploaded"),
        ("models", "show", "uploaded"),
        ("models", "default", "uploaded"),
    ],
    ids=lambda command: " ".join(word for word in command if word.startswith("--") or word == command[0]),
)
def test_a_bare_name_of_a_folder_is_refused_with_the_way_to_write_it(here: Path, command: tuple[str, ...]) -> None:
    """Wherever a bundle is named, the name of a folder alone finds nothing, and the sentence says how to mean the folder."""
    refused = call(*command).exception
    assert isinstance(refused, BundleError)
    assert "There is no bundle 'uploaded'" in str(refused)
    assert "There is a folder uploaded here: write ./uploaded" in str(refused)
    assert "\n" not in str(refused)


def test_the_environment_and_the_configuration_name_bundles_likewise(here: Path) -> None:
    """A bare name from the environment or from fmtag.toml is no folder either."""
    refused = call("run", "shirt.jpg", "--out", "tags.csv", FMTAG_RUN_MODEL="uploaded").exception
    assert isinstance(refused, BundleError)
    assert "write ./uploaded" in str(refused)
    refused = CliRunner().invoke(
        cli, ["run", "shirt.jpg", "--out", "tags.csv"], obj={}, default_map={"run": {"model": "uploaded"}}
    )
    assert "write ./uploaded" in str(refused.exception)


def test_a_folder_without_a_card_is_not_offered(here: Path) -> None:
    """A folder that holds no bundle is neither a model nor a hint."""
    (here / "photos").mkdir()
    with pytest.raises(BundleError, match="no bundle 'photos'") as caught:
        bundle.load("photos")
    assert "./photos" not in str(caught.value)


def test_the_default_set_as_a_folder_holds_from_every_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`models default ./x` keeps the whole path; a name stays a name even where a folder of that name lies here."""
    assert call("models", "default", "./uploaded").exit_code == 0
    assert default_model() == str(here / "uploaded")
    assert call("models", "default", "catalog").exit_code == 0
    assert default_model() == "catalog"


def test_new_bundles_go_where_their_folder_says(here: Path) -> None:
    """What is written into a relative folder is read back from there, not from a bundle of that name elsewhere."""
    made = save_bundle(Path("base"), NetworkConfig(widths=(8,), blocks=2))
    assert card.read("./base").card.network.blocks == card.read(made).card.network.blocks == 2
    assert card.read("base").card.network.blocks != 2


def test_a_card_whose_labels_are_no_unicode_is_damaged(here: Path) -> None:
    """Half a character in a label, which neither ledger nor output could hold, is said before any photo is read."""
    file = here / "uploaded" / "card.json"
    file.write_text(file.read_text().replace('"Sandal"', '"\\ud800"'))
    with pytest.raises(BundleError, match="damaged"):
        card.read("./uploaded")
