"""What a bundle says of itself: `card.json`, read without its weights, so that torch is loaded only where a network is needed.

Here too: where bundles lie, shipped and a user's own, and which of them tags where none is named.
"""

import csv
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import platformdirs

from tagger.errors import BundleError
from tagger.escaping import for_terminal
from tagger.models.bundle_name import DEFAULT_FILE, check_name
from tagger.settings import DEFAULT_MODEL, MOST_MEMBERS

FORMAT = 6
"""Grows when an older fmtag could not read the card."""

KIND = "fmtag-bundle"

_LONGEST_DEFAULT = 10_000
"""Bytes of `DEFAULT_FILE`, which holds a name or a folder in one line."""

HISTORY_FILE = "history.csv"
"""File in a bundle's folder that tells how its training went, a row an epoch; not every bundle has one."""

Family: TypeAlias = Literal["residual", "plain", "resnet18", "mobilenet-v3", "efficientnet-b0"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a `Network`, as it stands in a bundle's card.

    `widths` are the channels of each stage, and `blocks` its number of residual blocks, or of plain convolutions: one number
    for all, or one for each. Every stage after the first halves height and width, plain ones all do; where it is `pooled`, all
    stages do, by a max-pool. `stem` is the number of channels of the convolution before residual stages, 0 for as many as the
    first stage has. `norms`, `dense` and `dropout` are the plain family's: whether batch norms follow its convolutions, the
    widths of the dense layers before the head, and the share of their input that is dropped in training. Other families have
    one shape. `members` is how many networks of that shape stand side by side, an ensemble. `classes` are Fashion-MNIST's, and
    `photo_classes` those of a second head, for photos; 0 where one head does both. `mean` and `deviation` are those of the
    training pictures, in 0..1.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int | tuple[int, ...] = 1
    stem: int = 0
    pooled: bool = False
    classes: int = 10
    photo_classes: int = 0
    mean: float = 0.2860
    deviation: float = 0.3530
    family: Family = "residual"
    norms: bool = True
    dense: tuple[int, ...] = ()
    dropout: float = 0.0
    members: int = 1

    @property
    def sees_any_side(self) -> bool:
        """Whether the network takes pictures of another side than 28 pixels: not where maps are flattened."""
        return self.family != "plain"

    @property
    def depths(self) -> tuple[int, ...]:
        """The number of blocks of each stage."""
        return (self.blocks,) * len(self.widths) if isinstance(self.blocks, int) else self.blocks

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built or would take absurd memory, as a damaged card may hold."""
        if not (1 <= len(self.widths) <= 4 and all(1 <= width <= 4096 for width in self.widths)):
            raise ValueError(f"widths must be one to four numbers from 1 to 4096, not {self.widths}")
        if len(self.depths) != len(self.widths) or not all(1 <= depth <= 32 for depth in self.depths):
            raise ValueError("blocks must be 1 to 32, one number or one for each stage")
        if self.family not in FAMILIES:
            raise ValueError(f"the family must be one of {', '.join(FAMILIES)}, not {self.family}")
        if len(self.dense) > 4 or not all(1 <= width <= 4096 for width in self.dense) or not 0 <= self.dropout < 1:
            raise ValueError("dense must be at most four numbers from 1 to 4096, dropout 0 to less than 1")
        if not 0 <= self.stem <= 4096 or not 2 <= self.classes <= 10_000 or not 0 < self.deviation < math.inf:
            raise ValueError("stem must be 0 to 4096, classes 2 to 10000, deviation positive")
        if self.photo_classes not in (0, self.classes, self.classes + 1):
            raise ValueError("photo_classes must be 0, classes, or one more, for what is none of them")
        if not math.isfinite(self.mean) or not 1 <= self.members <= MOST_MEMBERS:
            raise ValueError(f"mean must be a number, members 1 to {MOST_MEMBERS}")


@dataclass(frozen=True)
class Card:
    """What a bundle says of itself."""

    name: str
    labels: tuple[str, ...]
    groups: dict[str, str]
    network: NetworkConfig
    garment_version: int
    temperature: float
    """Logits are divided by this before the softmax (Guo et al. 2017, arXiv 1706.04599)."""
    min_confidence: float
    """Tags below this calibrated probability, 0..1, are flagged."""
    photo_temperature: float = 1.0
    """The same for the logits of the head for photos, where there is one."""
    precisions: dict[str, float] = field(default_factory=dict)
    """The threshold to ask for so that a share of the unflagged tags is right: from "0.95" to the probability, 0..1."""
    figures: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    """sha256 of each file trained on."""
    versions: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    """The bundle that a shop has taught, as its `model` column names it; empty for one that was trained."""
    taught_groups: dict[str, str] = field(default_factory=dict)
    """The labels of the network's own heads, in their order, with their groups, where a shop has taught others."""
    shop_temperature: float = 1.0
    """The logarithms of what the shop's part says are divided by this."""

    @property
    def network_groups(self) -> dict[str, str]:
        """The labels of the network's heads, in their order, with their groups."""
        return self.taught_groups or {label: self.groups[label] for label in self.labels}

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError("at least two labels, all different, are needed")
        if set(self.groups) != set(self.labels):
            raise ValueError("every label needs a group")
        if len(self.network_groups) != self.network.classes:
            raise ValueError(f"{self.network.classes} different labels of the network are needed")
        thresholds = (self.min_confidence, *self.precisions.values())
        temperatures = (self.temperature, self.photo_temperature, self.shop_temperature)
        if not all(math.isfinite(some) and some > 0 for some in temperatures) or not all(0 <= some <= 1 for some in thresholds):
            raise ValueError("temperatures must be positive and thresholds within 0..1")

    def threshold(self, precision: float | None) -> float:
        """Return the least confidence of an unflagged tag: the default, or the one for a `precision` of the card's table.

        Raises `BundleError` where the table has no such precision.
        """
        if precision is None:
            return self.min_confidence
        for known, threshold in self.precisions.items():
            if math.isclose(float(known), precision):
                return threshold
        known = ", ".join(self.precisions) or "none"
        raise BundleError(f"The bundle {self.name} has no threshold for a precision of {precision}; it has: {known}.")


@dataclass(frozen=True)
class Signed:
    """A card as it lies in its bundle's folder, with the name and sha256 of the weights that it was written for."""

    folder: Path
    card: Card
    fingerprint: str
    """sha256 of the card's file, which holds that of the weights."""
    weights_file: str
    weights_sha256: str

    def weights(self) -> bytes:
        """Return the weights' file."""
        return (self.folder / self.weights_file).read_bytes()

    @property
    def model(self) -> str:
        """What the `model` column holds: name, short hash and garment version, as in `base@1a2b3c4d+g1`."""
        return model_name(self.card, self.fingerprint)


class Epoch(NamedTuple):
    """How training stood after an epoch, counted from 1; what was held out is None where nothing was."""

    epoch: int
    loss: float
    held_out_accuracy: float | None
    """0..1"""
    held_out_loss: float | None
    seconds: float


def model_name(card: Card, fingerprint: str) -> str:
    """Return what the `model` column holds, as `Signed.model` says."""
    return f"{card.name}@{fingerprint[:8]}+g{card.garment_version}"


def read(name: str | Path) -> Signed:
    """Return the card of the bundle `name`: a name, or a folder where it is a `Path` or written with a separator (`./x`).

    Of two bundles of one name the user's own comes before the shipped one. Raises `BundleError` where there is none, or it is
    damaged, foreign or from a newer fmtag.
    """
    folder = _find(name)
    with damage_said(folder):
        content = (folder / "card.json").read_bytes()
        raw = _parsed(content, folder)
        weights_file, weights_sha256 = str(raw["weights"]["file"]), str(raw["weights"]["sha256"])
        if Path(weights_file).name != weights_file:
            raise ValueError("its weights lie outside its folder")
        return Signed(folder, _card(raw), hashlib.sha256(content).hexdigest(), weights_file, weights_sha256)


def files_of(name: str | Path) -> list[Path]:
    """Return the files of the bundle that `read` would find, which may be damaged; none where there is no such bundle."""
    try:
        folder = _find(name)
    except BundleError:
        return []
    return [folder / "card.json", folder / HISTORY_FILE, *folder.glob("weights-*.safetensors")]


def check_replaceable(folder: Path) -> None:
    """Raise `BundleError` where the folder for a new bundle holds the `card.json` of another program."""
    try:
        raw = json.loads((folder / "card.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return  # none, or a damaged one, which a new bundle mends
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card and would be replaced; give --out another folder.")


def history(name: str | Path) -> list[Epoch]:
    """Return the epochs of the training of the bundle that `read` would find; none where it has no history.

    Raises `BundleError` where there is no such bundle, or what it holds is no history.
    """
    folder = _find(name)
    with damage_said(folder):
        try:
            with (folder / HISTORY_FILE).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return []
        if rows and (lacking := [column for column in Epoch._fields if rows[0].get(column) is None]):
            raise ValueError(f"its {HISTORY_FILE} lacks {', '.join(lacking)}")
        return [
            Epoch(
                int(row["epoch"]),
                float(row["loss"]),
                float(row["held_out_accuracy"]) if row["held_out_accuracy"] else None,
                float(row["held_out_loss"]) if row["held_out_loss"] else None,
                float(row["seconds"]),
            )
            for row in rows
        ]


@contextmanager
def damage_said(folder: Path) -> Iterator[None]:
    """Turn whatever is wrong with a bundle's files into a `BundleError` of one sentence."""
    try:
        yield
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be read: {error.strerror or error}.") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(f"The bundle {folder} is damaged: {reason}. Fetch it again or retrain it.") from error


def shipped() -> list[Path]:
    """Return the folders of the bundles that come with fmtag."""
    return _bundles_in(_shipped_folder())


def own() -> list[Path]:
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


def place_for(out: str) -> Path:
    """Return the folder for a new bundle: a bare name is one in the user's folder, anything else a path.

    Raises `BundleError` for the name of a shipped bundle, which would be hidden by it, where no bundle can be so named, and as
    `check_replaceable` does.
    """
    is_name = not is_folder(out)
    check_name(out if is_name else os.path.basename(os.path.realpath(out)))
    if is_name and out in (folder.name for folder in shipped()):
        raise BundleError(f"{out} is the name of a bundle that comes with fmtag; give the new one another name.")
    folder = user_folder() / out if is_name else Path(out)
    check_replaceable(folder)
    return folder


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
        _find(name)
    except BundleError as error:
        raise BundleError(f"{place} names {name!r}, which is no bundle; {remedy}.") from error
    return name


def _shipped_folder() -> Path:
    """Return where the bundles lie: inside the package when installed from a wheel, beside it in a checkout."""
    packaged = Path(str(files("tagger"))) / "weights"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "weights"


def _find(name: str | Path) -> Path:
    if name and (isinstance(name, Path) or is_folder(name)):
        return _found_in_folder(Path(name))
    for folder in (user_folder() / name, _shipped_folder() / name):
        if name and _holds_card(folder):
            return folder
    known, made = (", ".join(folder.name for folder in some) or "none" for some in (shipped(), own()))
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


def _parsed(content: bytes, folder: Path) -> dict[str, Any]:
    raw = json.loads(content)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card; give a bundle's folder or name.")
    if not isinstance(raw.get("format"), int) or raw["format"] > FORMAT:
        raise BundleError(f"The bundle {folder} is from a newer fmtag; update fmtag to use it.")
    return raw


def _card(raw: dict[str, Any]) -> Card:
    # Older cards lack what their fmtag did not know: a second head and precisions (1), a shop (2), pools (3), families (4).
    network = {item.name: raw["network"][item.name] for item in fields(NetworkConfig) if item.name in raw["network"]}
    for several in ("widths", "blocks", "dense"):
        if isinstance(network.get(several), list):
            network[several] = tuple(network[several])
    thresholds = raw["thresholds"]
    "".join((str(raw["name"]), *map(str, raw["labels"]), *map(str, raw["groups"].values()))).encode()  # or no output takes them
    return Card(
        name=str(raw["name"]),
        labels=tuple(map(str, raw["labels"])),
        groups={str(label): str(group) for label, group in raw["groups"].items()},
        network=NetworkConfig(**network),
        garment_version=int(raw["garment_version"]),
        temperature=float(raw["temperature"]),
        min_confidence=float(thresholds["min_confidence"]),
        photo_temperature=float(raw.get("photo_temperature", 1.0)),
        precisions={str(float(key)): float(value) for key, value in thresholds.get("precisions", {}).items()},
        figures=dict(raw["figures"]),
        recipe=dict(raw["recipe"]),
        data=dict(raw["data"]),
        versions=dict(raw["versions"]),
        parent=str(raw.get("parent", "")),
        taught_groups={str(label): str(group) for label, group in raw.get("taught_groups", {}).items()},
        shop_temperature=float(raw.get("shop_temperature", 1.0)),
    )
