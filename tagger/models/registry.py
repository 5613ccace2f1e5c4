"""Find bundles by name or folder, shipped ones and a user's own, and the default one."""

import os
from pathlib import Path

import platformdirs

from tagger.errors import BundleError, reason_of
from tagger.escaping import for_terminal
from tagger.models.bundle_name import DEFAULT_FILE
from tagger.settings import DEFAULT_MODEL

_LONGEST_DEFAULT = 10_000
"""Most bytes of `DEFAULT_FILE`, which holds a name or a folder in one line."""


def shipped_bundles() -> list[Path]:
    """Return the folders of the bundles that come with fmtag."""
    return _bundles_in(_shipped_folder())


def user_bundles() -> list[Path]:
    """Return the folders of the user's own bundles."""
    folder = user_folder()
    return _bundles_in(folder) if os.path.isdir(folder) else []  # noqa: PTH112 (Path.is_dir raises without permission)


def _bundles_in(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if os.path.isfile(one / "card.json"))
    except OSError as error:
        raise BundleError(f"The folder of bundles {folder} cannot be read: {reason_of(error)}.") from error


def user_folder() -> Path:
    """Return the folder of the user's own bundles: `FMTAG_MODELS`, or else the system's folder for user data.

    Raises `BundleError` if `FMTAG_MODELS` is a file.
    """
    given = os.environ.get("FMTAG_MODELS")
    if given and os.path.lexists(given) and not os.path.isdir(given):  # noqa: PTH112
        raise BundleError(f"FMTAG_MODELS names {given}, which is no folder; set it to the folder of your own bundles.")
    return Path(given) if given else platformdirs.user_data_path("fmtag", appauthor=False) / "models"


def is_folder(name: str) -> bool:
    """Return whether a string names a folder, as `./x`, `x/` and `..` do; without a separator it is a bundle's name.

    A name never means a folder of the working directory: whoever could put a folder there would choose the network.
    """
    return Path(name).name != name or name == ".."


def default_model() -> str:
    """Return the name or folder of the default bundle: the one that the user has set, or else the shipped one.

    Raises `BundleError` if the user's setting cannot be read or names no bundle.
    """
    place = user_folder() / DEFAULT_FILE
    if not os.path.lexists(place):
        return DEFAULT_MODEL
    remedy = f"set one by `fmtag models default NAME`, or remove {place}"
    if not os.path.isfile(place):
        raise BundleError(f"{place} is not a file, which would hold the default bundle's name; rename or remove it.")
    try:
        with place.open("rb") as file:
            content = file.read(_LONGEST_DEFAULT + 1)
    except OSError as error:
        raise BundleError(f"{place} cannot be read ({reason_of(error)}); {remedy}.") from error
    try:
        name = content.decode().strip() if len(content) <= _LONGEST_DEFAULT else ""
    except UnicodeDecodeError:
        name = ""
    if not name or (is_folder(name) and not Path(name).is_absolute()) or for_terminal(name) != name:
        raise BundleError(f"{place} holds neither the name of a bundle nor the absolute path of a folder; {remedy}.")
    try:
        find_bundle(name)
    except BundleError as error:
        raise BundleError(f"{place} names {name!r}, which is no bundle; {remedy}.") from error
    return name


def _shipped_folder() -> Path:
    """Return the folder of the shipped bundles: in the package if installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "weights"
    return packaged if packaged.is_dir() else package.parent / "weights"


def find_bundle(name: str | Path) -> Path:
    """Return the folder of a bundle.

    Args:
        name: a bundle's name, or its folder: a `Path`, or a string with a separator, such as `./mine`. A user's own bundle
            comes before a shipped one of the same name.

    Raises:
        BundleError: the bundle does not exist; the message lists those that do.
    """
    if name and (isinstance(name, Path) or is_folder(name)):
        return _found_in_folder(Path(name), str(name))
    for folder in (user_folder() / name, _shipped_folder() / name):
        if name and _holds_card(folder):
            return folder
    shipped, own = (", ".join(folder.name for folder in some) or "none" for some in (shipped_bundles(), user_bundles()))
    hint = "To give a folder, write it with a separator, as in ./name."
    if name and _holds_card(Path(name)):
        hint = f"There is a folder {name} here: write .{os.sep}{name} to use that."
    raise BundleError(f"There is no bundle {str(name)!r}; shipped with fmtag: {shipped}; your own: {own}. {hint}")


def _found_in_folder(folder: Path, given: str) -> Path:
    if _holds_card(folder):
        return folder
    if os.path.exists(folder):  # unlike Path.exists, false for impossible names
        raise BundleError(f"{given} is no bundle: it holds no card.json; give a bundle's folder or name.")
    raise BundleError(f"There is no bundle in {given!r}, which does not exist; give a bundle's folder or name.")


def _holds_card(folder: Path) -> bool:
    return os.path.isfile(folder / "card.json")
