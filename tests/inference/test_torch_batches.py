"""Batches of one shape give an image the same row in any company, and a device short of memory halves them."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tagger.errors import DeviceError
from tagger.inference import torch_batches
from tagger.inference.torch_batches import FixedBatches, exact_float32, is_out_of_memory, placed

CPU = torch.device("cpu")

IMAGES = list(np.random.default_rng(0).integers(0, 256, (21, 4, 4), np.uint8))


class Device:
    """A device that computes means and squares of as many images as its memory holds, and notes the shapes it was given."""

    def __init__(self, memory: int = 1_000, error: type[RuntimeError] = torch.OutOfMemoryError, words: str = "") -> None:
        self.memory = memory
        self.error = error(words)
        self.sizes: list[int] = []

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        self.sizes.append(len(images))
        if len(images) > self.memory:
            raise self.error
        means = images.float().mean((1, 2))
        return means, torch.stack([means, means**2], 1)


def expected(images: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> list[float]:
    """Return the means that a device gives."""
    return [float(np.float32(image.mean())) for image in images]


def test_every_batch_has_one_shape() -> None:
    """Rows come in the order of the images, none for those that fill up a batch."""
    device = Device()
    means, both = FixedBatches(device, CPU, (4, 4), 8)(IMAGES)
    assert [8, 8, 8] == device.sizes
    assert expected(IMAGES) == means.tolist()
    assert ((21, 2), np.float32) == (both.shape, both.dtype)


def test_views_of_images_are_images() -> None:
    """A mirrored image, which numpy holds with a negative stride, is one like others."""
    batches = FixedBatches(lambda images: [images[:, 0, 0].float()], CPU, (4, 4), 8)
    (corners,) = batches([image[:, ::-1] for image in IMAGES])
    assert [image[0, -1] for image in IMAGES] == corners.tolist()


@pytest.mark.parametrize(("memory", "sizes"), [(7, [8, 4, 4, 4, 4, 4, 4]), (3, [8, 4, *[2] * 11]), (1, [8, 4, 2, *[1] * 21])])
def test_lack_of_memory_halves_the_batch_for_good(memory: int, sizes: list[int]) -> None:
    """No image is lost or computed twice, rows are the same, and the smaller size is kept."""
    device = Device(memory)
    batches = FixedBatches(device, CPU, (4, 4), 8)
    assert expected(IMAGES) == batches(IMAGES)[0].tolist()
    assert sizes == device.sizes
    batches(IMAGES[:1])
    assert [batches.size] == device.sizes[len(sizes) :]


def test_odd_sizes_go_down_to_one() -> None:
    """Five images, three, two, one: none is left out."""
    device = Device(1)
    assert expected(IMAGES) == FixedBatches(device, CPU, (4, 4), 5)(IMAGES)[0].tolist()
    assert [5, 3, 2, 1] == device.sizes[:4]


def test_memory_that_runs_out_in_between_costs_no_row() -> None:
    """Rows that are computed already stay, whatever happens to later ones."""
    device = Device()
    batches = FixedBatches(device, CPU, (4, 4), 8)
    to_come = batches.begin(IMAGES)
    device.memory = 2
    assert expected(IMAGES[:9]) == batches(IMAGES[:9])[0].tolist()
    assert expected(IMAGES) == to_come.result()[0].tolist()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")])
def test_memory_for_not_even_one_image_is_one_sentence(error: RuntimeError) -> None:
    """It says what is wrong and what to do."""
    device = Device(0, type(error), str(error))
    with pytest.raises(DeviceError, match=r"^The device cpu has too little free memory .* --device cpu\.$"):
        FixedBatches(device, CPU, (4, 4), 8)(IMAGES)
    assert [8, 4, 2, 1] == device.sizes


def test_unused_memory_is_given_back_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once per halving, when no error that is being handled keeps tensors."""
    given: list[int] = []
    device = Device(2)
    monkeypatch.setattr(torch_batches, "free_memory", lambda _: given.append(len(device.sizes)))
    FixedBatches(device, CPU, (4, 4), 8)(IMAGES[:1])
    assert [1, 2] == given


def test_other_errors_are_errors() -> None:
    """A mistake is neither tried again nor taken for a lack of memory."""
    device = Device(0, RuntimeError, "sizes do not match")
    with pytest.raises(RuntimeError, match="sizes do not match"):
        FixedBatches(device, CPU, (4, 4), 8)(IMAGES)
    assert [8] == device.sizes


def test_a_network_that_does_not_fit_is_one_sentence() -> None:
    """The same as for an image; other errors stay themselves."""

    class Heavy(nn.Linear):
        def to(self, *arguments: object, **options: object) -> "Heavy":
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(DeviceError, match="too little free memory"):
        placed(Heavy(2, 2), CPU)
    assert not is_out_of_memory(RuntimeError("no kernel image is available"))


def test_products_are_exact_and_settings_come_back() -> None:
    """Float32 without TF32 inside the block, what the program had set after it, also after an error."""
    before = cuda_settings()

    def fail() -> None:
        with exact_float32():
            assert ("ieee", "ieee", False, True) == cuda_settings()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert before == cuda_settings()


def cuda_settings() -> tuple[str, str, bool, bool]:
    """Return how torch computes on a GPU."""
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic
