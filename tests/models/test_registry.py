"""Bundles are found by name or by folder; a name never means a folder of the working directory."""

import shutil
from pathlib import Path

import pytest
import torch
from bundle_helpers import refusal
from click.testing import CliRunner, Result
from helpers import draw_photo, rows_of, save_bundle

from tagger.cli.main import cli
from tagger.data import fashion_mnist
from tagger.data.images import Images
from tagger.errors import BundleError
from tagger.inference.tagger import Tagger
from tagger.models import bundle, card, registry
from tagger.models.config import NetworkConfig
from tagger.models.registry import _shipped_folder, default_model, is_folder, shipped_bundles, user_bundles, user_folder

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


def test_unknown_name_lists_the_shipped(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is refused with the names of the bundles that come with fmtag and of the user's own."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    for folder in ("weights/base", "weights/tiny", "models/mine"):
        shutil.copytree(small_bundle, tmp_path / folder)
    monkeypatch.setattr(registry, "_shipped_folder", lambda: tmp_path / "weights")
    with pytest.raises(BundleError, match=r"no bundle 'bsae'; shipped with fmtag: base, tiny; your own: mine\. ") as caught:
        bundle.load("bsae")
    assert "\n" not in str(caught.value)
    assert isinstance(bundle.load("tiny"), bundle.Bundle)


@pytest.mark.parametrize(
    "name", ["", ".", "a\0b", "x" * 5000, "no/such/folder", "line\nbreak"], ids=lambda name: repr(name[:20])
)
def test_impossible_names_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be a folder's is refused in one sentence like any unknown one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError) as caught:
        bundle.load(name)
    assert "\n" not in str(caught.value)


def test_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    """A folder without a card, and a file in its place, are refused by name."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "shirt.jpg").write_bytes(b"")
    for name in ("photos", "shirt.jpg"):
        assert "card.json" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("base", False), ("a.b", False), ("./x", True), ("x/", True), ("/x", True), ("..", True), (".", True), ("x/y", True)],
)
def test_only_a_separator_makes_a_folder(text: str, expected: bool) -> None:
    """Whatever holds a separator, and the two names of folders themselves, is a folder; anything else is a name."""
    assert is_folder(text) == expected


def test_a_users_own_bundle_comes_first(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two bundles of one name the user's own is found; shipped ones are listed all the same."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    assert user_bundles() == []
    own = Path(shutil.copytree(small_bundle, tmp_path / "models" / "tiny"))
    (tmp_path / "models" / "empty").mkdir()
    assert user_folder() == tmp_path / "models"
    assert user_bundles() == [own]
    assert registry.find_bundle("tiny") == own
    assert {"base", "catalog", "tiny"} <= {folder.name for folder in shipped_bundles()}


@pytest.mark.parametrize("content", [b"", b"\n", b"./relative", b"two\nlines", b"\xff\xfe", b"x" * 20_000, b"\x1b[31mtiny"])
def test_a_setting_that_is_no_bundle_is_refused_with_the_remedy(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file of the default holds besides a name or an absolute path, one sentence says how to mend it."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    (tmp_path / "default").write_bytes(content)
    with pytest.raises(BundleError, match=r"holds neither .*fmtag models default NAME") as caught:
        default_model()
    assert "\n" not in str(caught.value)


def test_a_setting_that_names_nothing_or_is_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that has been removed, a folder in the place of the setting, and a file in that of the folder are refused."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path))
    (tmp_path / "default").write_text("gone")
    with pytest.raises(BundleError, match=r"names 'gone'.*fmtag models default NAME"):
        default_model()
    (tmp_path / "default").unlink()
    (tmp_path / "default").mkdir()
    with pytest.raises(BundleError, match=r"is not a file.*rename or remove"):
        default_model()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "file"))
    with pytest.raises(BundleError, match=r"FMTAG_MODELS names .*no folder"):
        user_folder()
