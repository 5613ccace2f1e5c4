"""Compute rows of images on a device of torch, in batches of one shape that a device short of memory halves.

A row depends on the shape of its batch, whose kernels may sum in another order (pytorch#58128), but not on the other images in
it. So every batch is filled up with black images to one size: on one device, with one version of its libraries, an image gets
the same row, to the bit, in any company. Once a device has run out of memory, the size is half of that for all later batches;
rows then are those of the smaller shape, which differ by float32's rounding at most. Probabilities are rounded before anything
is decided, and embeddings are packed into bytes, so that such a difference is seen only where a value lies on the boundary of
two. A device that has the memory for `BATCH_SIZE` images never gets there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tagger.arrays import Float32s, Pixels
from tagger.errors import DeviceError
from tagger.inference.settings import BATCH_SIZE

IN_FLIGHT = 4
"""Batches whose results are not waited for before the next one is sent to the device, which bounds the memory of all."""

OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")
"""What messages of torch's back ends and NVIDIA's libraries hold where they raise a plain `RuntimeError` for lack of memory."""


class FixedBatches:
    """A function of images, ready on a device.

    Args:
        compute: returns one or more float32 tensors (n, ...), a row per image, for uint8 (n, *shape) on the device. It is
            called without gradients, and as `exact_float32` says.
        device: of torch.
        shape: of an image, such as (224, 224, 3).
        size: images in a batch.
    """

    def __init__(
        self, compute: Callable[[Tensor], Sequence[Tensor]], device: torch.device, shape: Sequence[int], size: int = BATCH_SIZE
    ) -> None:
        self._compute = compute
        self._device = device
        self._shape = tuple(shape)
        self.size = size
        """Images in a batch from now on: as many as at first, or fewer after the device has run out of memory."""

    def begin(self, images: Sequence[Pixels]) -> "RowsToCome":
        """Send n images, at least one, uint8 of the shape each, to the device, and return their rows to come.

        It returns while the device computes, where the device allows that. Raises `DeviceError` if the device has too little
        memory for a single image.
        """
        batches: list[_Batch] = []
        running: deque[_Batch] = deque()
        start = 0
        while start < len(images):
            some = images[start : start + self.size]
            if (batch := self._try(some)) is None:
                self._halve()
                continue
            batches.append(batch)
            running.append(batch)
            start += len(some)
            if len(running) > IN_FLIGHT:
                running.popleft().wait()
        return RowsToCome(batches)

    def __call__(self, images: Sequence[Pixels]) -> tuple[Float32s, ...]:
        """Return what `compute` returns for n images, at least one, as arrays; errors as those of `begin`."""
        return self.begin(images).result()

    def _try(self, images: Sequence[Pixels]) -> "_Batch | None":
        """Send one batch to the device; None if its memory does not suffice."""
        try:
            with exact_float32(), torch.inference_mode():
                return _Batch(self._compute(self._sent(images)), len(images), self._device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return None  # from here, as the error being handled would keep the tensors of the frames that it passed

    def _sent(self, images: Sequence[Pixels]) -> Tensor:
        """Return images as a batch of the fixed size on the device, without waiting for the transfer."""
        pinned = self._device.type == "cuda"  # page-locked memory, which alone is copied while the processor goes on
        batch = torch.empty((self.size, *self._shape), dtype=torch.uint8, pin_memory=pinned)
        rows = batch.numpy()
        for row, image in zip(rows, images, strict=False):
            row[...] = image
        rows[len(images) :] = 0
        return batch.to(self._device, non_blocking=pinned)  # torch reuses such memory only after the transfer

    def _halve(self) -> None:
        """Halve the size of later batches, and give unused memory back to the device."""
        if self.size == 1:
            raise too_little_memory(self._device)
        self.size = -(-self.size // 2)
        free_memory(self._device)


class RowsToCome:
    """The rows of images that a device may still be computing."""

    def __init__(self, batches: "list[_Batch]") -> None:
        self._batches = batches

    def result(self) -> tuple[Float32s, ...]:
        """Wait for the device, and return an array with a row per image for each of the function's tensors."""
        return tuple(np.concatenate(parts) for parts in zip(*(batch.rows() for batch in self._batches), strict=True))


class _Batch:
    """The rows of one batch on their way from the device: copied once they are computed, not after later batches."""

    def __init__(self, outputs: Sequence[Tensor], count: int, device: torch.device) -> None:
        self._event = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._rows = [output[:count].to("cpu", non_blocking=self._event is not None) for output in outputs]
        if self._event is not None:
            self._event.record()

    def wait(self) -> None:
        """Wait until the device has computed and copied the rows."""
        if self._event is not None:
            self._event.synchronize()

    def rows(self) -> list[Float32s]:
        """Wait for the rows and return them."""
        self.wait()
        return [rows.numpy() for rows in self._rows]


Module = TypeVar("Module", bound=nn.Module)


def placed(network: Module, device: torch.device) -> Module:
    """Move a network to a device, in channels-last order, and return it; raises `DeviceError` if it does not fit."""
    try:
        return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise too_little_memory(device) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device, or a library that computes on it, had too little memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def too_little_memory(device: torch.device) -> DeviceError:
    """Return the error of a device whose memory does not suffice for one image."""
    return DeviceError(
        f"The device {device.type} has too little free memory even for one photo at a time. End other programs that use it, or "
        "compute on the processor: --device cpu."
    )


def free_memory(device: torch.device) -> None:
    """Give memory that torch keeps for later, and does not use, back to a device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Let products on a GPU be those of float32 while the block lasts.

    torch lets convolutions round their inputs to TF32, with 10 bits of 23, unless told otherwise. Kernels are chosen by rules
    rather than by trials, which may choose others in another run, and from those that always sum in one order.
    """
    exact: tuple[tuple[Any, str, object], ...] = (
        (torch.backends.cudnn.conv, "fp32_precision", "ieee"),  # type: ignore[attr-defined]
        (torch.backends.cuda.matmul, "fp32_precision", "ieee"),
        (torch.backends.cudnn, "benchmark", False),
        (torch.backends.cudnn, "deterministic", True),
    )
    before = [getattr(owner, name) for owner, name, _ in exact]
    for owner, name, value in exact:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(exact, before, strict=True):
            setattr(owner, name, value)
