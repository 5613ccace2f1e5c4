"""Tell the photos among those files of a folder whose names do not end as those of photos do, by their first bytes."""

import os
import re
import stat
from collections import Counter, defaultdict

from tagger.file_kinds import START, is_camera_raw, is_photo

CAMERA_RAW, PHOTOSHOP, LEFTOVER = "camera raw", "Photoshop", "backup or temporary"

NOT_A_PHOTO, NOT_A_FILE, UNREADABLE = "not an image", "not a regular file", "cannot be opened"

_LEFTOVER_NAME = re.compile(
    r"~$"  # editors
    r"|^#.*#$"
    r"|\.(bak|backup|old|orig|sav|save|swp|tmp|temp)\d*$"
    r"|\.\w{2,5}_(original|exiftool_tmp)$"  # ExifTool
    r"|\.sb-[0-9a-f]{8}-\w{6}$"  # applications of macOS
    # downloads and uploads that are not complete
    r"|\.(part|partial|filepart|crdownload|download|opdownload|incomplete|inprogress|uploading|aria2|!ut|!qb|bc!)$",
    re.IGNORECASE,
)
"""Names of copies that programs leave beside a photo, and of files that are still being written."""

_VIDEO_THUMBNAIL = ".thm"
"""Suffix of the JPEG that a camera writes beside a video."""

_KINDS = {
    CAMERA_RAW: ("camera raw", "camera raws"),
    PHOTOSHOP: ("Photoshop document", "Photoshop documents"),
    LEFTOVER: ("backup or temporary file", "backup or temporary files"),
}


def why_no_photo(file: str, name: str) -> str:
    """Return the reason for which a file is not read as a photo of a catalog, empty where it is.

    Its first bytes decide, but for camera raws, some of which begin like a TIFF, and for the names of leftovers. Never waits:
    pipes and devices are not read.
    """
    start = _start(file)
    if isinstance(start, str):
        return start
    if is_camera_raw(start, name):
        return CAMERA_RAW
    if start.startswith(b"8BPS"):
        return PHOTOSHOP
    if not is_photo(start) or name.lower().endswith(_VIDEO_THUMBNAIL):
        return NOT_A_PHOTO
    return LEFTOVER if _LEFTOVER_NAME.search(name) else ""


def _start(file: str) -> bytes | str:
    """Return the first bytes of a regular file, or the reason why there are none."""
    try:
        # A pipe without a writer would block an open that may wait; a terminal would become the process's own.
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    except OSError:
        return UNREADABLE
    try:
        return os.read(handle, START) if stat.S_ISREG(os.fstat(handle).st_mode) else NOT_A_FILE
    except OSError:
        return UNREADABLE
    finally:
        os.close(handle)


class LookAlikes:
    """Count the files of a folder that look like photos but were left out, and name the first ones of each kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, path: str, why: str) -> None:
        """Take an entry that was left out, and the reason; those of other reasons do not count."""
        if why in _KINDS:
            self._counts[why] += 1
            if len(self._examples[why]) < 2:
                self._examples[why].append(path)

    def warning(self) -> str:
        """Return a sentence about the files; empty where there are none."""
        total = self._counts.total()
        if not total:
            return ""
        kinds = []
        for why, count in self._counts.most_common():
            examples = ", ".join(self._examples[why]) + (", ..." if count > len(self._examples[why]) else "")
            kinds.append(f"{count:,} {_KINDS[why][count > 1]} ({examples})")
        files = "file looks like a photo but was" if total == 1 else "files look like photos but were"
        return (
            f"{total:,} {files} left out: {'; '.join(kinds)}. Export or rename those that belong to the catalog; "
            "--exclude PATTERN leaves files out without this warning."
        )
