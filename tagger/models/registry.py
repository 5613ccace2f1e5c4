"""Where bundles lie, shipped and a user's own, and which one is the default."""

import os
from importlib.resources import files
from pathlib import Path

import platformdirs

from tagger.errors import BundleError
from tagger.escaping import for_terminal
from tagger.models.bundle_name import DEFAULT_FILE
from tagger.settings import DEFAULT_MODEL

_LONGEST_DEFAULT = 10_000
"""Bytes of `DEFAULT_FILE`, which holds a name or a folder in one line."""


def shipped_bundles() -> list[Path]:
    """Return the folders of the bundles that come with fmtag."""
    return _bundles_in(_shipped_folder())


def user_bundles() -> list[Path]:
    """Return the folders of the user's own bundles."""
    folder = user_folder()
    return _bundles_in(folder) if os.path.isdir(folder) else []  # noqa: PTH112 (which fails where it may not look)


def _bundles_in(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if os.path.isfile(one / "card.json"))
    except OSError as error:
        raise BundleError(f"The folder of bundles {folder} cannot be read: {error.strerror or error}.") from error


def user_folder() -> Path:
    """Return where a user's own bundles lie by name: `FMTAG_MODELS`, else the place for data that the system knows.

    Raises `BundleError` where `FMTAG_MODELS` is a file.
    """
    given = os.environ.get("FMTAG_MODELS")
    if given and os.path.lexists(given) and not os.path.isdir(given):  # noqa: PTH112
        raise BundleError(f"FMTAG_MODELS names {given}, which is no folder; let it name the folder of your own bundles.")
    return Path(given) if given else platformdirs.user_data_path("fmtag", appauthor=False) / "models"


def is_folder(name: str) -> bool:
    """Return whether the text names a folder, as `./x`, `x/` and `..` do; anything without a separator is a bundle's name.

    A name never means a folder of the working directory: else whoever can put a folder there would choose the network.
    """
    return Path(name).name != name or name == ".."


def default_model() -> str:
    """Return the bundle that tags where none is named: the one that the user has set, else the shipped one.

    Raises `BundleError` where the file that says so names no bundle.
    """
    place = user_folder() / DEFAULT_FILE
    if not os.path.lexists(place):
        return DEFAULT_MODEL
    remedy = f"set one by `fmtag models default NAME`, or remove {place}"
    if not os.path.isfile(place):
        raise BundleError(f"{place} should be a file with the name of a bundle and is none; rename or remove it.")
    try:
        with place.open("rb") as file:
            content = file.read(_LONGEST_DEFAULT + 1)
    except OSError as error:
        raise BundleError(f"{place} cannot be read ({error.strerror or error}); {remedy}.") from error
    try:
        name = content.decode().strip() if len(content) <= _LONGEST_DEFAULT else ""
    except UnicodeDecodeError:
        name = ""
    if not name or (is_folder(name) and not Path(name).is_absolute()) or for_terminal(name) != name:
        raise BundleError(f"{place} holds neither the name of a bundle nor a folder's whole path; {remedy}.")
    try:
        find_bundle(name)
    except BundleError as error:
        raise BundleError(f"{place} names {name!r}, which is no bundle; {remedy}.") from error
    return name


def _shipped_folder() -> Path:
    """Return where the bundles lie: inside the package when installed from a wheel, beside it in a checkout."""
    packaged = Path(str(files("tagger"))) / "weights"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "weights"


def find_bundle(name: str | Path) -> Path:
    if name and (isinstance(name, Path) or is_folder(name)):
        return _found_in_folder(Path(name))
    for folder in (user_folder() / name, _shipped_folder() / name):
        if name and _holds_card(folder):
            return folder
    known, made = (", ".join(folder.name for folder in some) or "none" for some in (shipped_bundles(), user_bundles()))
    hint = "A bundle's folder is written with a separator, as ./name is."
    if name and _holds_card(Path(name)):
        hint = f"There is a folder {name} here: write .{os.sep}{name} to use that."
    raise BundleError(f"There is no bundle {str(name)!r}; shipped with fmtag: {known}; your own: {made}. {hint}")


def _found_in_folder(folder: Path) -> Path:
    if _holds_card(folder):
        return folder
    if os.path.exists(folder):  # unlike Path's, false for names that no folder can have
        raise BundleError(f"{folder} is no bundle: it holds no card.json; give a bundle's folder or name.")
    raise BundleError(f"There is no bundle in {str(folder)!r}, which does not exist; give a bundle's folder or name.")


def _holds_card(folder: Path) -> bool:
    return os.path.isfile(folder / "card.json")
