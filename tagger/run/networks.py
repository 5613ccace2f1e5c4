"""Make a bundle's networks ready in a thread of its own, while the first photos are read and decoded."""

from threading import Lock, Thread
from typing import TYPE_CHECKING

from tagger.errors import BundleError, FmtagError
from tagger.models.card import StoredCard
from tagger.settings import Device

if TYPE_CHECKING:
    from tagger.inference.tagger import Tagger


class Networks:
    """The networks of a bundle, loaded once, at the first use; may be used from any thread."""

    def __init__(self, stored: StoredCard, device: Device) -> None:
        self._stored = stored
        self._device = device
        self._loaded: Tagger | None = None
        self._lock = Lock()
        self._begun = False

    def begin(self) -> None:
        """Begin to load and open them, without waiting for that."""
        if not self._begun:
            self._begun = True
            Thread(target=self._open, name="networks", daemon=True).start()

    @property
    def tagger(self) -> "Tagger":
        """The tagger, whose networks are open only after `begin` or their first use: embeddings need none.

        Raises:
            BundleError: the bundle is not the one whose card was read before, or cannot be used.
        """
        with self._lock:
            if self._loaded is None:
                # Imported here: a run without new photos needs none of it.
                from tagger.inference.tagger import Tagger

                loaded = Tagger(self._stored.folder, device=self._device, lazy=True)
                if loaded.bundle.fingerprint != self._stored.fingerprint:
                    raise BundleError(f"The bundle {self._stored.folder} was replaced during the run; run the command again.")
                self._loaded = loaded
            return self._loaded

    def _open(self) -> None:
        try:
            self.tagger.open()
        except FmtagError:  # raised again for the first who needs them
            return
