"""Labelled images as tensors."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tagger.data.labels import LABELS


@dataclass(frozen=True)
class Images:
    """Labelled pictures: `pixels` uint8 (n, 1, 28, 28) with 0 = background, `labels` int64 (n,).

    In a mix, `targets` float32 (n, classes) say how sure each label is, and `photo` bool (n,) which pictures stand for
    photos; without them labels are certain and all pictures of one kind. `names` are the classes' names in their order.
    """

    pixels: Tensor
    labels: Tensor
    targets: Tensor | None = None
    photo: Tensor | None = None
    names: tuple[str, ...] = LABELS

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Images":
        """Return the pictures at `indices`, in their order."""
        targets = None if self.targets is None else self.targets[indices]
        photo = None if self.photo is None else self.photo[indices]
        return Images(self.pixels[indices], self.labels[indices], targets, photo, self.names)

    def to(self, device: torch.device) -> "Images":
        """Return the pictures on a device."""
        targets = None if self.targets is None else self.targets.to(device)
        photo = None if self.photo is None else self.photo.to(device)
        return Images(self.pixels.to(device), self.labels.to(device), targets, photo, self.names)

    def fingerprint(self) -> str:
        """Return the sha256 of pixels, labels and kinds in their order, 64 hexadecimal digits.

        Targets are left out: networks computed them, whose last digits vary from one machine to the next.
        """
        whole = hashlib.sha256()
        for tensor in (self.pixels, self.labels, self.photo):
            if tensor is None:
                whole.update(b"none")
                continue
            values = np.ascontiguousarray(tensor.cpu().numpy())
            whole.update(f"{values.dtype.str}{values.shape}".encode())
            whole.update(values.data)
        return whole.hexdigest()
