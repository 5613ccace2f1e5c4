"""Check, before any work is done, that every output can be written and replaces neither an input nor another output."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from tagger.catalog.destinations import why_no_object, why_unreachable
from tagger.errors import OutputError, reason_of
from tagger.file_kinds import IMAGE_SUFFIXES, START, is_photo
from tagger.file_replacement import must_be_overwritten, why_not_overwritable
from tagger.files import why_unwritable
from tagger.storage.addresses import bucket_address, is_remote, shown
from tagger.storage.traffic import Traffic
from tagger.streams import descriptor_of, is_standard_output, is_stream, why_stream_unwritable

Kind: TypeAlias = Literal["file", "image", "database", "folder", "images"]
"""A file, an image file, one that is read again, as a ledger is, a folder, or a folder that image files are written into."""

Key: TypeAlias = str | tuple[int, int]
"""Identifies a file: a resolved path, or device and inode number; an object by its address."""


class Output(NamedTuple):
    """A file or folder that a command writes."""

    option: str
    """The option that names it, such as `--out`."""
    path: str | Path | None
    """None where the option is not given; the text `-` is standard output, and a text such as `s3://bucket/key` an object."""
    kind: Kind = "file"


class Input(NamedTuple):
    """A file that a command reads; a folder stands for all image files below it."""

    name: str
    """What the file is, as part of a sentence: "the label map"."""
    path: str | Path


def check_output_paths(outputs: Iterable[Output], inputs: Iterable[Input] = (), traffic: Traffic | None = None) -> None:
    """Raise `OutputError` for the first output that `refusals` refuses; `traffic` counts the requests to buckets."""
    for _, sentence in refusals(outputs, inputs, Traffic() if traffic is None else traffic):
        raise OutputError(sentence)


def refusals(
    outputs: Iterable[Output], inputs: Iterable[Input] = (), traffic: Traffic | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the option of each output that may not or cannot be written, with a sentence: why, and what to do.

    Files are compared by identity, not by name: links, hard links and other spellings are the same file. Of two outputs
    with one path the second one is refused. No output may replace a photo, whether that is one of the inputs or not.
    Where `traffic` is given, each output in a bucket takes a request, to find out whether the bucket can be used.
    """
    inputs = list(inputs)
    taken: dict[Key, str] = {key: name for name, path in inputs if _is_one_file(path) for key in _keys(path)}
    folders = [folder for _, path in inputs if (folder := _folder_of(path))]
    written: dict[Key, str] = {}
    for output in outputs:
        if output.path is None:
            continue
        sentence = _refusal(output, taken, folders, written)
        if not sentence and traffic is not None and is_remote(str(output.path)):
            sentence = why_unreachable(str(output.path), traffic)
        if sentence:
            yield output.option, sentence
        for key in _keys(output.path, spelling=False):
            written.setdefault(key, output.option)


def fashion_mnist_files(folder: Path | None) -> list[Input]:
    """Return the files of Fashion-MNIST in a folder as inputs."""
    return [Input("a file of Fashion-MNIST", file) for file in sorted(folder.glob("*-ubyte*"))] if folder else []


def _refusal(output: Output, taken: dict[Key, str], folders: list[str], written: dict[Key, str]) -> str:
    """Return why an output is refused; empty where it is not."""
    option, given = output.option, output.path or ""
    name = _named(given)
    if sentence := _unwritable(output):
        return sentence
    for other in (taken.get(key) for key in _keys(given)):
        if other:
            return f"{name} is {other} and would be replaced; give {option} another name."
    for other in (written.get(key) for key in _keys(given, spelling=False)):
        if other and is_standard_output(given):
            return f"{other} and {option} cannot both be standard output; give {option} a file."
        if other:
            return f"{name} is what {other} names and would be replaced; give {option} another name."
    return "" if not is_remote(str(given)) and is_stream(given) else _on_a_photo(output, folders)


def _named(path: str | Path) -> str:
    return "standard output" if str(path) == "-" else shown(str(path))


def _is_one_file(path: str | Path) -> bool:
    return is_remote(str(path)) or os.path.isfile(path)


def _folder_of(path: str | Path) -> str:
    """Return the folder that an input is, without a separator at its end; empty where it is none. An address may be one."""
    if is_remote(str(path)):
        return str(path).rstrip("/")
    return os.path.realpath(path) if Path(path).is_dir() else ""


def _on_a_photo(output: Output, folders: list[str]) -> str:
    """Return why an output is refused that would replace a photo, or be read as a photo of the source in the next run."""
    remote = is_remote(str(output.path))
    real = str(output.path) if remote else os.path.realpath(str(output.path))
    inside = [folder for folder in folders if real == folder or real.startswith((os.path.join(folder, ""), f"{folder}/"))]
    image = os.path.splitext(real)[1].lower() in IMAGE_SUFFIXES
    if inside and output.kind == "images":
        return f"{output.path} lies in {inside[0]}, whose images are all read as photos; give {output.option} another folder."
    if output.kind not in ("folder", "images") and image and inside:
        return f"{output.path} lies among the photos of {inside[0]}; give {output.option} a file elsewhere."
    if output.kind in ("file", "database") and remote and image:  # what lies there is not looked at
        return f"{output.path} has the name of a picture; give {output.option} another one."
    if output.kind in ("file", "database") and not remote and os.path.isfile(real) and (image or _holds_image(real)):
        return f"{output.path} is a picture and would be replaced; give {output.option} another name."
    return ""


def _unwritable(output: Output) -> str:
    """Return why the system would refuse to write an output; empty where it would not, as far as is known beforehand."""
    option, given = output.option, str(output.path) or "."
    if is_remote(given):
        why = why_no_object(given)
        return f"{shown(given)} cannot be written: {why}; give {option} another place." if why else ""
    if is_stream(given) and output.kind == "database":
        return f"{_named(given)} is no file that keeps what is written; give {option} another one."
    if is_stream(given) and output.kind not in ("folder", "images"):
        why = why_stream_unwritable(given)
        return f"{_named(given)} cannot be written: {why}; give {option} another place." if why else ""
    try:
        found = Path(given).stat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except (OSError, ValueError) as error:
        return f"{given} cannot be written ({reason_of(error)}); give {option} another place."
    if output.kind in ("folder", "images"):
        why = why_unwritable(Path(given))
        return f"{why}; give {option} another place." if why else ""
    if found is not None and stat.S_ISDIR(found.st_mode):
        return f"{given} cannot be written: it is a folder; give {option} the name of a file."
    if given.endswith(os.sep):
        return f"{given} cannot be written: it ends as the name of a folder does; give {option} the name of a file."
    real = Path(os.path.realpath(given))
    folder = real.parent
    if not os.path.lexists(folder):
        return f"{given} cannot be written: there is no folder {folder}; make it first, or give {option} another place."
    if not folder.is_dir():
        return f"{given} cannot be written: {folder} is no folder; give {option} another place."
    if must_be_overwritten(real):
        why = why_not_overwritable(real)
        return f"{given} cannot be written: {why}; give {option} another place." if why else ""
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{given} cannot be written: the folder {folder} may not be written; give {option} another place."
    return ""


def _keys(path: str | Path, spelling: bool = True) -> list[Key]:
    """Return the keys that two paths to one file share: the resolved path, and for an existing file device and inode.

    Without `spelling`, names that differ only in case are one: on many file systems they are, which a file that does not
    exist yet cannot tell. A device has none, as it keeps nothing that could be lost. The key of an object is its address.
    """
    if is_remote(str(path)):
        scheme, bucket, key = bucket_address(str(path))
        return [f"{scheme}://{bucket}/{key}"]
    try:
        if (descriptor := descriptor_of(path)) is not None:
            keys: list[Key] = [f"descriptor {descriptor}"]
            found = os.fstat(descriptor)
        else:
            real = os.path.realpath(path)
            keys = [real if spelling else real.casefold()]
            found = Path(real).stat()
    except FileNotFoundError:
        return keys
    except (OSError, ValueError, OverflowError):
        return []
    if stat.S_ISCHR(found.st_mode):
        return keys if is_standard_output(path) else []
    return [*keys, (found.st_dev, found.st_ino)]


def _holds_image(path: str) -> bool:
    """Return whether a file's content is a photo, also of a format that fmtag cannot read (raw photos, videos)."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(START)
    except OSError:
        return False
    return is_photo(start) or start[4:8] == b"ftyp"
