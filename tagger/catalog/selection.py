"""Decide by their names which entries of a folder are read: a built-in list of folders, and the patterns of the user.

Patterns follow the rules of gitignore, through `pathspec`, and are matched against paths relative to the source.
"""

import os
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.catalog.settings import SourceSettings
from tagger.errors import SourceError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SYSTEM_FOLDERS = frozenset(
    {
        "$recycle.bin",  # Windows
        "recycler",
        "system volume information",
        "lost+found",  # Linux
        "@eadir",  # Synology: thumbnails
        "@tmp",
        "@sharesnap",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "~snapshot",  # NetApp
        "trashbox",  # Buffalo
        "recycle bin",
        "network trash folder",  # AFP servers
        "temporary items",
        "thevolumesettingsfolder",
        "__macosx",  # resource forks in ZIP archives
        "files_trashbin",  # Nextcloud
        "files_versions",
        "captureone",  # thumbnails and settings beside the photos of a session
        "_vti_cnf",  # FrontPage: a text under the name of each photo
        "node_modules",
    }
)
"""Names, in lower case, of folders that hold waste, thumbnails or earlier versions; Windows and NAS write them in any case.

Only names that no folder of products is likely to have: `Recycled` is a category of some shops. Those that begin with a dot,
such as `.Trash-1000` and `.snapshot`, are hidden anyway."""

_SYSTEM_FOLDER = re.compile(
    r"@gmt-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d"  # a previous version on a Samba share
    r"|found\.\d{3}"  # what chkdsk rescued
    r"|.+\.lrdata"  # previews of Lightroom
)

HIDDEN, SYSTEM_FOLDER, NOT_INCLUDED = "hidden", "system folder", "not matched by --include"

_BELOW_A_MATCH = "ps_d"
"""Group of pathspec's expressions that matches the `/` after a folder that the pattern means."""

_WILDCARD = re.compile(r"[*?\[]")


class Selection:
    """Which entries of a folder its settings select, by their names alone.

    Raises `SourceError` where a pattern is none.
    """

    def __init__(self, reading: SourceSettings) -> None:
        exclude = [_pattern("--exclude", pattern) for pattern in reading.exclude]
        include = [_pattern("--include", pattern) for pattern in reading.include]
        exceptions = [pattern[1:] for pattern in exclude if pattern.startswith("!")]
        named = [pattern for pattern in include + exceptions if not _WILDCARD.search(pattern)]
        self._has_patterns = bool(exclude or include)
        self._rules = [_Rule(pattern) for pattern in reversed(exclude)]
        self._included = _spec(include) if include else None
        self._named = _spec(named) if named else None
        self._patterns = [*(("--exclude", pattern) for pattern in exclude), *(("--include", pattern) for pattern in include)]

    def why_left_out(self, path: str, name: str, is_folder: bool) -> str:
        """Return the reason for which an entry is left out, empty where it is not.

        Args:
            path: relative to the source, with `/` as separator.
            name: its last part.
            is_folder: whether it is a folder; one that is left out is not to be walked.
        """
        if not self._has_patterns and not is_folder and not name.startswith("."):
            return ""  # nearly every file of a folder of a million
        place = _composed(path) if self._has_patterns else path
        rule = next((rule for rule in self._rules if rule.matches(place, is_folder)), None)
        if rule is not None and not rule.is_exception:
            return f"excluded by {rule.pattern}"
        if (name.startswith(".") or (is_folder and _is_system_folder(name))) and not self._is_named(place, name, is_folder):
            return HIDDEN if name.startswith(".") else SYSTEM_FOLDER
        if self._included is not None and not is_folder and not self._included.match_file(place):
            return NOT_INCLUDED
        return ""

    def _is_named(self, place: str, name: str, is_folder: bool) -> bool:
        """Return whether a pattern without wildcards means just this entry: `--include '*.jpg'` does not mean `._a.jpg`."""
        if self._named is None or not self._named.match_file(f"{place}/" if is_folder else place):
            return False
        parent = place.rpartition("/")[0]
        return not (parent and self._named.match_file(f"{parent}/"))

    def misplaced(self, root: Path) -> Iterator[str]:
        """Yield a sentence for each pattern that begins with a folder which `root` lacks, as a path from elsewhere does."""
        for option, pattern in self._patterns:
            first, _, rest = pattern.removeprefix("!").removeprefix("/").partition("/")
            if rest and not _WILDCARD.search(first) and "\\" not in first and not os.path.lexists(root / first):
                yield f"{option} {pattern} matches nothing: patterns start within {root}, which has no {first!r}."


class _Rule:
    """A pattern of `--exclude`, matched against an entry itself: as in git, the folders above it have been decided before."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.is_exception = pattern.startswith("!")
        self._folders_only = pattern.endswith("/")
        [self._compiled] = _spec([pattern.rstrip("/")]).patterns

    def matches(self, place: str, is_folder: bool) -> bool:
        """Return whether the entry matches, not only a folder that it lies in."""
        if self._folders_only and not is_folder:
            return False
        found = self._compiled.match_file(place)
        return found is not None and found.match.groupdict().get(_BELOW_A_MATCH) is None


def _is_system_folder(name: str) -> bool:
    folded = name.casefold()
    return folded in SYSTEM_FOLDERS or _SYSTEM_FOLDER.fullmatch(folded) is not None


def _composed(text: str) -> str:
    """Return text in Unicode's composed form: file systems of Macs hold decomposed names, keyboards write composed ones."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _pattern(option: str, given: str) -> str:
    """Return a pattern as gitignore takes it, with `./` at its start and the `#` of a comment as what a shell user means."""
    exception = "!" if given.startswith("!") else ""
    pattern = _composed(given.removeprefix("!"))
    if wrong := re.search(r"\\\w", pattern):
        raise SourceError(
            f"{option} {given}: a backslash makes the character after it literal, which {wrong[0][1]} is already; write / "
            "between folders."
        )
    if pattern.startswith("./"):
        pattern = pattern[1:]
    pattern = exception + (f"\\{pattern}" if pattern.startswith("#") else pattern)
    try:
        with warnings.catch_warnings():  # of `[[:alpha:]]`, which git knows and Python's expressions do not
            warnings.simplefilter("error")
            means_something = pattern.strip("!/ ") and _spec([pattern]).patterns[0].include is not None
    except (ValueError, re.error, FutureWarning):
        means_something = False
    if not means_something:
        raise SourceError(
            f"{option} {given!r} is not a pattern; write one as in a .gitignore file, such as '*-back.jpg' or old/, "
            "with a backslash before a [ that is part of a name."
        )
    return pattern


def _spec(patterns: Sequence[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)
