"""Augment training images, a whole batch at a time."""

import torch
from torch import Tensor
from torch.nn import functional


def random_shift_flip(pixels: Tensor, mirrored: Tensor, shift: int, rng: torch.Generator) -> Tensor:
    """Shift each image at random by up to `shift` pixels along both axes, and flip chosen images horizontally.

    Args:
        pixels: uint8 (n, 1, h, w); pixels shifted in from outside are 0.
        mirrored: bool (n,), which images are flipped.
        shift: maximum shift in pixels.
        rng: generator on the CPU, so that the same seed gives the same images on every device.
    """
    n, _, height, width = pixels.shape
    device = pixels.device
    padded = functional.pad(pixels, (shift, shift, shift, shift))
    offsets = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=rng).to(device)
    rows = offsets[0] + torch.arange(height, device=device)
    columns = offsets[1] + torch.arange(width, device=device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    return padded[torch.arange(n, device=device)[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def cutout(pixels: Tensor, share: float, side: int, rng: torch.Generator) -> Tensor:
    """Set a square at a random place to 0 in a `share` of the images (cutout, arXiv 1708.04552).

    Args:
        pixels: uint8 (n, 1, h, w).
        share: probability per image, 0..1.
        side: side of the square in pixels, rounded up to an odd number; the square may reach over the image's edges.
        rng: generator on the CPU.
    """
    n, _, height, width = pixels.shape
    device = pixels.device
    rows = torch.randint(0, height, (n, 1), generator=rng).to(device)
    columns = torch.randint(0, width, (n, 1), generator=rng).to(device)
    inside_rows = (torch.arange(height, device=device) - rows).abs() <= side // 2
    inside_columns = (torch.arange(width, device=device) - columns).abs() <= side // 2
    chosen = (torch.rand(n, generator=rng) < share).to(device)
    square = inside_rows[:, :, None] & inside_columns[:, None, :] & chosen[:, None, None]
    return pixels.masked_fill(square.unsqueeze(1), 0)
