"""Labelled images as tensors."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tagger.data.labels import LABELS


@dataclass(frozen=True)
class Images:
    """A batch or a data set of labelled images."""

    pixels: Tensor
    """uint8 (n, 1, 28, 28), 0 = background."""
    labels: Tensor
    """int64 (n,), indices into `names`."""
    targets: Tensor | None = None
    """Soft targets, float32 (n, classes); None where the labels are the targets."""
    photo: Tensor | None = None
    """bool (n,), which images stand for photos, and so are learnt by the head for photos; None where all are of one kind."""
    names: tuple[str, ...] = LABELS
    """Names of the classes in their order."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Images":
        """Return the images at `indices`, int64 (m,), in their order."""
        targets = None if self.targets is None else self.targets[indices]
        photo = None if self.photo is None else self.photo[indices]
        return Images(self.pixels[indices], self.labels[indices], targets, photo, self.names)

    def to(self, device: torch.device) -> "Images":
        """Copy the tensors to a device."""
        targets = None if self.targets is None else self.targets.to(device)
        photo = None if self.photo is None else self.photo.to(device)
        return Images(self.pixels.to(device), self.labels.to(device), targets, photo, self.names)

    def fingerprint(self) -> str:
        """Return the sha256 of `pixels`, `labels` and `photo` with their dtypes and shapes, 64 hexadecimal digits.

        `targets` are left out: they are computed by networks, so their last digits vary between machines.
        """
        digest = hashlib.sha256()
        for tensor in (self.pixels, self.labels, self.photo):
            if tensor is None:
                digest.update(b"none")
                continue
            values = np.ascontiguousarray(tensor.cpu().numpy())
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            digest.update(values.data)
        return digest.hexdigest()
