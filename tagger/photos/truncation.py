"""Guard Pillow's global switch for truncated files, so that threads of both modes and other users of Pillow do not mix."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile


class TruncationSwitch:
    """Lock around `ImageFile.LOAD_TRUNCATED_IMAGES`, which is global: threads that decode strictly exclude lenient ones.

    Outside of both modes the switch keeps the value that other users of Pillow in this process have set.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strict_threads = 0
        self._before = False

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Switch truncated files off; any number of threads may be in this mode at once."""
        with self._changed:
            if not self._strict_threads:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._strict_threads += 1
        try:
            yield
        finally:
            with self._changed:
                self._strict_threads -= 1
                if not self._strict_threads:
                    ImageFile.LOAD_TRUNCATED_IMAGES = self._before
                self._changed.notify_all()

    @contextmanager
    def lenient(self) -> Iterator[None]:
        """Switch truncated files on; a single thread may be in this mode, while no other decodes."""
        with self._changed:
            self._changed.wait_for(lambda: self._strict_threads == 0)
            before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
            try:
                yield
            finally:
                ImageFile.LOAD_TRUNCATED_IMAGES = before


truncation_switch = TruncationSwitch()
