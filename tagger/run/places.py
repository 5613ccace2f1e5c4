"""Tell where a photo lies that a run reads, from what the ledger listed of it."""

from pathlib import Path

from tagger.catalog.places import joined
from tagger.records import EmbeddedPhoto, RemoteFolder, RemotePhoto
from tagger.run.ledger_values import UnscoredPhoto
from tagger.storage.addresses import is_remote


def place_of_photo(photo: UnscoredPhoto, root: Path | RemoteFolder) -> str | EmbeddedPhoto | RemotePhoto:
    """Return the place of a photo: the one that was listed, or its path, from the folder `root` unless it is an address."""
    place = photo.place
    if isinstance(place, RemotePhoto):
        return _remote(place.address, photo)
    if place is not None:
        return place
    if isinstance(root, RemoteFolder):
        return _remote(photo.path if is_remote(photo.path) else root.address + photo.path, photo)
    return _remote(photo.path, photo) if is_remote(photo.path) else joined(root, photo.path)


def _remote(address: str, photo: UnscoredPhoto) -> RemotePhoto:
    return RemotePhoto(address, photo.size, photo.mtime_ns, photo.signature)
