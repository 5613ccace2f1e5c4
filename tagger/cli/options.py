"""Options that several commands share: decorators, parameter types, and what the entry point knows about the invocation."""

import functools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast

import click

from tagger.catalog.settings import TABLE_FORMATS, SourceSettings
from tagger.photos.settings import DecodeSettings
from tagger.settings import DEFAULT_MODEL, DEVICES, TRAINING_DEVICES
from tagger.storage.addresses import is_remote, shown

LogFormat: TypeAlias = Literal["text", "json"]

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_SEED = 2**32 - 1
"""The greatest seed that numpy's generators take."""

MAX_EPOCHS = 100_000


class LocalPath(click.Path):
    """A path of this machine: an address such as `s3://bucket/key` is wrong usage, where a `Path` would be another name."""

    def __init__(self, remedy: str = "give a path of this machine", **settings: Any) -> None:
        super().__init__(path_type=Path, **settings)
        self._remedy = remedy

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the path."""
        if is_remote(text := os.fsdecode(value)):
            self.fail(f"{shown(text)} is an address, which is not read or written here; {self._remedy}.", parameter, context)
        return super().convert(value, parameter, context)


FILE = LocalPath(dir_okay=False)

OUTPUT_OF_RUNS = LocalPath("download its ledger, and give that to --ledger", dir_okay=False)
"""An output beside which a ledger lies."""

LEDGER_OF_RUNS = LocalPath("download the ledger first", dir_okay=False)


class OrAddress(click.Path):
    """A path as another type takes it, or the address of an object, as text."""

    def __init__(self, otherwise: click.Path) -> None:
        super().__init__(dir_okay=False)
        self._otherwise = otherwise

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the address, or what the other type makes of the value."""
        if isinstance(value, str) and is_remote(value):
            return value
        return self._otherwise.convert(value, parameter, context)


FILE_OR_ADDRESS = OrAddress(FILE)


class OutputFile(LocalPath):
    """A file to write, or `-` for standard output."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, allow_dash=True)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        """Return the path; one that ends as that of a folder is wrong usage."""
        path = super().convert(value, parameter, context)
        if os.fsdecode(value).endswith(os.sep):
            self.fail(f"{value} ends as the name of a folder does; give the name of a file.", parameter, context)
        return Path(path)


OUTPUT_FILE = OutputFile()

OUTPUT_PLACE = OrAddress(OUTPUT_FILE)

FOLDER = LocalPath(file_okay=False)

PLACE = LocalPath()


@dataclass
class Invocation:
    """The command line as it was given, and the options that also decide how the entry point reports an error."""

    command: str = "fmtag"
    """The whole command, quoted for a shell."""
    debug: bool = False
    log_format: LogFormat = "text"


class Option(click.Option):
    """An option that environment variables of all its long names set.

    Click derives the variable from the name of the Python parameter, which differs from the option where that name is a keyword
    (`from`) or taken. That variable works too, after those of the option's own names.
    """

    def variables(self, prefix: str) -> Iterator[str]:
        """Yield the names of the environment variables that set the option, the first one that is set being used."""
        names = [name.removeprefix("--").replace("-", "_") for name in self.opts if name.startswith("--")]
        for name in dict.fromkeys([*names, str(self.name)]):
            yield f"{prefix}_{name.upper()}"

    def variable_used(self, context: click.Context) -> str | None:
        """Return the environment variable that sets the option; None where none does."""
        prefix = context.auto_envvar_prefix
        return next((name for name in self.variables(prefix) if os.environ.get(name)), None) if prefix else None

    def resolve_envvar_value(self, context: click.Context) -> str | None:
        """Return the value of the environment variable that sets the option; None where none does."""
        name = self.variable_used(context)
        return super().resolve_envvar_value(context) if name is None else os.environ[name]


class Finite(click.FloatRange):
    """A finite number within a range: click compares numbers, so `nan` would lie in every range and `inf` in open ones."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the number; a value that is not a finite number in the range is wrong usage."""
        number = super().convert(value, parameter, context)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", parameter, context)
        return number


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Add an option to a command, as `click.option` does, of the class `Option`."""
    return click.option(*names, cls=Option, **settings)


def combined(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator in place of several, which stand in the order of the help text."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def note(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Record an option's value in the `Invocation` too, for the entry point."""
    setattr(context.find_root().obj, str(parameter.name), value)
    return value


def bundle_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """Return the bundle's name: the one given, else the user's default."""
    if value is not None:
        return value
    from tagger.models.registry import default_model

    return default_model()


YOUR_DEFAULT = f"[default: your default bundle, otherwise {DEFAULT_MODEL}]"

with_debug = option("--debug", is_flag=True, expose_value=False, callback=note, help="Print the traceback of an error.")

with_workers = option("--workers", type=click.IntRange(1, 256), help="Photos processed at once.  [default: one per processor]")


with_flagging = combined(
    option("--min-confidence", type=Finite(0, 1), help="Flag tags below this probability.  [default: the bundle's own]"),
    option(
        "--precision",
        type=Finite(0, 1),
        help="Flag so many tags that this share of the others is correct, by the table in the bundle's card.",
    ),
    option("--allow-truncated", is_flag=True, help="Tag truncated and damaged files too, always flagged."),
)
"""Which tags are flagged."""

with_log = combined(
    option("--quiet", is_flag=True, help="Print errors only."),
    option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        callback=note,
        help="Log format on stderr.",
    ),
)
"""What is printed on standard error, and how."""


def with_decoding(command: Command) -> Command:
    """Add the options of how photos are decoded; the command gets them, with its own, as one argument, `decoding`."""

    @functools.wraps(command)
    def with_settings(*arguments: Any, **options: Any) -> Any:
        named = [field.name for field in fields(DecodeSettings) if field.name in options]
        return command(*arguments, decoding=DecodeSettings(**{name: options.pop(name) for name in named}), **options)

    max_pixels = option(
        "--max-pixels",
        type=click.IntRange(1),
        metavar="N",
        help="Fail photos with more pixels as too_large.  [default: as many as 1.25 GB of memory hold]",
    )
    return cast(Command, max_pixels(with_settings))


def with_source_reading(command: Command) -> Command:
    """Add the options of how a source is read; the command gets them as one argument, `reading`."""

    @functools.wraps(command)
    def with_settings(*arguments: Any, **options: Any) -> Any:
        named = [field.name for field in fields(SourceSettings) if field.name in options]
        reading = SourceSettings(**{name: options.pop(name) for name in named})
        return command(*arguments, reading=reading, **options)

    return cast(Command, combined(*SOURCE_OPTIONS)(with_settings))


def with_fetching(command: Command) -> Command:
    """Let a command, which has the options of `with_source_reading`, fetch photos at addresses and read sources in buckets."""

    @functools.wraps(command)
    def with_settings(*arguments: Any, reading: SourceSettings, **options: Any) -> Any:
        return command(*arguments, reading=replace(reading, fetch=True), **options)

    return cast(Command, with_settings)


SOURCE_OPTIONS = (
    option("--image-column", help="Column of image paths in a table.  [default: recognised by its name]"),
    option(
        "--table-format",
        type=click.Choice(TABLE_FORMATS),
        default=SourceSettings.table_format,
        show_default=True,
        help="Shop system that a table was exported from: which columns hold images, and how a cell holds several.",
    ),
    option("--all-images", is_flag=True, help="Read each image of a table's row, a row each; else the first one counts."),
    option(
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="Leave out what matches of a folder, by gitignore's rules, as '*-back.jpg' or old/; !PATTERN makes an exception. "
        "May be repeated.",
    ),
    option(
        "--include",
        multiple=True,
        metavar="PATTERN",
        help="Read only the files of a folder that match, as '*-front.*' or women/, and that no --exclude matches. May be "
        "repeated.",
    ),
    option("-0", "--null", "null_separated", is_flag=True, help="Paths on standard input end with NUL, as from find -print0."),
)
"""An option for each field of `SourceSettings` that is a choice of the user's, in the order of the help text."""

with_label_column = option("--label-column", help="Column of labels in a table.  [default: recognised by its name]")

with_fashion_mnist = option("--data", type=PLACE, metavar="DIR", help="Folder of Fashion-MNIST's four files.")

with_training_device = option(
    "--device",
    type=click.Choice(TRAINING_DEVICES),
    default="auto",
    show_default=True,
    help="Device to train on; auto takes a CUDA GPU where there is one.",
)

with_device = option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Device to compute on; auto takes a GPU where there is one.",
)

with_photo_reading = combined(with_device, with_workers, with_decoding, with_source_reading, with_debug)
"""Options of every command that reads photos and runs a network."""

with_model = combined(
    option(
        "--model",
        callback=bundle_name,
        help=f"Bundle to use: its name, or its folder written with a separator, as ./mine.  {YOUR_DEFAULT}",
    ),
    option("--batch-size", type=click.IntRange(1, 65536), default=256, show_default=True, help="Number of photos per batch."),
    with_photo_reading,
)
"""Options of the commands that tag photos with a bundle."""

with_catalog = combined(
    click.argument("catalog"),
    option("--from", "start", callback=bundle_name, metavar="MODEL", help=f"Bundle to start from.  {YOUR_DEFAULT}"),
    with_photo_reading,
)
"""The argument and options of the commands that read a whole catalog to adapt a bundle to it."""

with_reviews = combined(
    option(
        "--ledger",
        type=FILE,
        metavar="FILE",
        help="Ledger of decisions that people made about these photos.  [default: found here, in CATALOG or above it]",
    ),
    option("--no-reviews", is_flag=True, help="Leave out what people decided about these photos."),
)
"""Options of the commands that take what people decided about a catalog's photos."""
