"""Tell the kind of a file by its first bytes: a photo, or what users give in place of one, each with a remedy."""

import re
from pathlib import Path
from typing import NamedTuple

from tagger.errors import SourceError, reason_of

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .avif .gif .bmp .dib .tif .tiff .heic .heif .hif "
    ".jxl .jp2 .j2k .j2c .jpc .jpx .jpf .jls".split()
)
"""Suffixes of the images of a folder, in any case; the format itself is told by the content when a photo is decoded."""

RAW_SUFFIXES = frozenset(
    "3fr arw cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf pef ptx pxn raf raw rw2 rwl "
    "rwz sr2 srf srw x3f".split()
)
"""Suffixes of camera raws, without the dot; many of these files begin like a TIFF, of a small preview."""

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".jsonl", ".ndjson", ".json", ".parquet")
"""Usual suffixes of tables, in any case; which kind of table a file is, is told by its content."""

READ = (
    "fmtag reads folders, photos (JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, HEIC, JPEG XL, JPEG 2000, JPEG-LS) and tables "
    f"({' '.join(TABLE_SUFFIXES)}; text also compressed)"
)
"""The last sentence of an error about a file that cannot be a source."""

START = 4096
"""Bytes from the beginning of a file that tell its kind."""

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, of either byte order."""

PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"GIF8", b"BM", *TIFF_STARTS)
"""First bytes of the formats that fmtag reads, but for those in boxes or codestreams; text may begin with three of them."""

_JPEG_XL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_JPEG_2000_STARTS = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
"""The bare codestream, and the container."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


class Kind(NamedTuple):
    """A kind of file that is not a photo."""

    name: str
    """With its article, as part of a sentence."""
    remedy: str
    """What to do so that fmtag can read the content."""


PARQUET = Kind("a Parquet table", "export it again")
EMPTY = Kind("an empty file", "export or copy it again")
TEXT = Kind(
    "a text file",
    "a table needs a line of column names, one of them of images, and a list one path per line",
)
UNKNOWN = Kind("a file of an unknown kind", "convert a picture to JPEG or PNG, export a table as CSV")
JSON = Kind("a JSON document", "write one object a line (JSON Lines, .jsonl), or export it as CSV")
UTF16 = Kind("UTF-16 text", "a table needs a line of column names, one of them of images")

_SPREADSHEET = Kind("a spreadsheet", "save it as .xlsx or export it as CSV (UTF-8)")
_ARCHIVE = Kind("an archive", "unpack it and give the folder")
_COMPRESSED = Kind("a compressed file", "decompress it first")
_CONVERT = "convert it to JPEG or PNG"
_RAW = Kind("a camera's raw file", "export the photo as JPEG or PNG")
_VIDEO = Kind("a video", "export a frame as JPEG or PNG")
_SOUND = Kind("a sound or video file", "give the photo itself")
_BASE64 = Kind("a photo as base64 text", "decode it (base64 --decode)")
_SVG = Kind("an SVG drawing", "export it as PNG")
_PAGE = Kind("an HTML page", "download the photo itself; if it is a table, export it as CSV (UTF-8)")
_RAW_STARTS = (b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FUJIFILMCCD-RAW", b"FOVb", b"II*\0\x10\0\0\0CR", b"\0MRM")
"""Of Panasonic, Olympus, Fujifilm, Sigma, Canon and Minolta; those of others are TIFFs, which `photos.tiff` tells."""
_OTHER_IMAGE_STARTS = (
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"\0\0\2\0", "a cursor (CUR) or an uncompressed TGA image"),
    (b"icns", "an icon (ICNS)"),
    (b"%!PS", "a PostScript document (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document (EPS)"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"\1\0\0\0", "a Windows metafile (EMF) or another kind of drawing"),
    (b"v/1\1", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance image (HDR)"),
    (b"#?RGBE", "a Radiance image (HDR)"),
    (b"DDS ", "a DirectDraw surface (DDS)"),
    (b"II\xbc\1", "a JPEG XR image"),
    (b"gimp xcf", "a GIMP document (XCF)"),
    (b"BPG\xfb", "a BPG image"),
    (b"farbfeld", "a farbfeld image"),
    (b"qoif", "a QOI image"),
    (b"\x97JB2\r\n", "a JBIG2 image"),
    (b"FORM", "an IFF image or sound"),
    *((b"P%d%c" % (number, blank), "a PNM image (PBM, PGM, PPM)") for number in range(1, 8) for blank in b"\n\r \t"),
    *((b"\x0a%c\1" % version, "a PCX image") for version in (0, 2, 3, 4, 5)),
)
"""Beginnings of images that fmtag does not read."""
_VIDEO_BRANDS = tuple(
    brand.encode() for brand in "isom iso2 iso4 iso5 iso6 mp41 mp42 avc1 qt M4V 3gp dash MSNV XAVC mmp4 f4v".split()
)
"""Brands of videos in ISO media files (ISO 14496-12, 4.3); the first bytes of a brand suffice."""
_STARTS = (
    (b"PAR1", PARQUET),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _SPREADSHEET),
    (b"\x1f\x8b", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ\0", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"SQLite format 3\0", Kind("a database", "give the photos or the table that it was made from")),
    (b"%PDF", Kind("a PDF document", "export its photos as JPEG or PNG")),
    *((start, Kind(name, _CONVERT)) for start, name in _OTHER_IMAGE_STARTS),
    *((start, _RAW) for start in _RAW_STARTS),
    *((start, _VIDEO) for start in (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS", b"FLV\1")),
    (b"version https://git-lfs", Kind("a Git LFS pointer in place of a file", "fetch the file itself: git lfs pull")),
    *((start, _BASE64) for start in (b"data:image/", b"/9j/4", b"iVBORw0KGgo", b"UklGR", b"R0lGODlh")),
    (b"\xff\xfe", UTF16),
    (b"\xfe\xff", UTF16),
)
_SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers")


def begins_photo(path: Path) -> bool:
    """Return whether the content of a file is that of a photo; raises `SourceError` where it cannot be read."""
    return is_photo(_start(path))


def _start(path: Path) -> bytes:
    """Return the first `START` bytes of a file; raises `SourceError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(START)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from error


def is_heif(start: bytes) -> bool:
    """Return whether the bytes begin a HEIC or AVIF file."""
    return is_heic(start) or (start[4:8] == b"ftyp" and start[8:12] in _AVIF_BRANDS)


def is_heic(start: bytes) -> bool:
    """Return whether the bytes begin a HEIC file."""
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


def is_tiff(start: bytes) -> bool:
    """Return whether the bytes begin a TIFF or BigTIFF."""
    return start.startswith(TIFF_STARTS)


def is_jpeg_xl(start: bytes) -> bool:
    """Return whether the bytes begin a JPEG XL, bare or in its container."""
    return start.startswith(_JPEG_XL_STARTS)


def is_jpeg_2000(start: bytes) -> bool:
    """Return whether the bytes begin a JPEG 2000, bare or in its container."""
    return start.startswith(_JPEG_2000_STARTS)


def is_photo_start(start: bytes) -> bool:
    """Return whether the bytes begin as a photo of a format that fmtag reads does, even if it is damaged or a text does too."""
    return start.startswith((*PHOTO_STARTS, *_JPEG_XL_STARTS, *_JPEG_2000_STARTS)) or is_heif(start)


def is_photo(start: bytes) -> bool:
    """Return whether the bytes begin a photo of a format that fmtag reads, and not a text that happens to begin alike."""
    if start.startswith(b"RIFF"):
        return start[8:12] == b"WEBP"
    if start.startswith(b"GIF"):
        return start[:6] in (b"GIF87a", b"GIF89a")
    if start.startswith(b"BM"):
        return len(start) >= 14 and start[6:10] == bytes(4)
    return is_photo_start(start)


def is_camera_raw(start: bytes, name: str) -> bool:
    """Return whether a file is a camera raw: by its first bytes, or like a TIFF with the suffix of a camera in its name."""
    if start.startswith(_RAW_STARTS) or start[4:12] == b"ftypcrx " or start[6:14] == b"HEAPCCDR":
        return True
    if not is_tiff(start):
        return False
    return start[8:10] == b"CR" or not RAW_SUFFIXES.isdisjoint(re.findall(r"\.([a-z0-9]+)", name.lower()))


def kind_of(start: bytes, suffix: str = "") -> Kind:
    """Return the kind of a file that is not a photo, by its first `START` bytes and, for ZIP archives, by its suffix."""
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        sheet = suffix.lower() in _SHEET_SUFFIXES or b"xl/" in start or b"opendocument.spreadsheet" in start
        return _SPREADSHEET if sheet else _ARCHIVE
    if start[257:262] == b"ustar":
        return _ARCHIVE
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") and len(start) >= 12:
        return _media_kind(start)
    if start.startswith(b"RIFF") and start[8:12] in (b"AVI ", b"WAVE"):
        return _VIDEO if start[8:12] == b"AVI " else _SOUND
    if not start.strip():
        return EMPTY
    plain = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"\{\s*[\"}]|\[\s*[\[{\"\]]", plain):
        return JSON
    if plain[:1] == b"<":
        return _markup_kind(plain)
    return TEXT if _is_text(plain) else UNKNOWN


def _media_kind(start: bytes) -> Kind:
    """Return the kind of an ISO media file that is neither HEIC nor AVIF, by its brand."""
    if start[8:11] == b"crx":
        return _RAW
    return UNKNOWN if is_heif(start) or (start[4:8] == b"ftyp" and not start.startswith(_VIDEO_BRANDS, 8)) else _VIDEO


def _markup_kind(start: bytes) -> Kind:
    """Return the kind of a text that begins with an angle bracket."""
    lowered = start.lower()
    if b"<svg" in lowered:
        return _SVG
    if re.match(rb"<(!doctype\s+html|html|head|body|table)\b", lowered) or b"<html" in lowered:
        return _PAGE
    if re.match(rb"<(\?xml|!doctype|!--)", lowered):
        return Kind("an XML or HTML document", "open it in a spreadsheet and save it as .xlsx or CSV")
    return TEXT if _is_text(start) else UNKNOWN


def _is_text(start: bytes) -> bool:
    """Return whether the bytes are UTF-8 without control characters; a character cut by the end is allowed."""
    if re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]", start):
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
