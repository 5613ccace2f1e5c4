"""Export a bundle's network as one file for other runtimes, optionally pruned or quantized, and check it against the bundle.

The file takes images, uint8 (n, 1, 28, 28) with 0 for background, and returns calibrated probabilities, float32 (n, labels);
its metadata hold the labels. For a bundle with a head for photos the images are product images of photos, and one minus the
sum of the probabilities is the probability of none of the labels.
"""

import copy
import json
import logging
import statistics
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
from tagger.data import fashion_mnist, splits
from tagger.errors import ExportError, reason_of
from tagger.files import atomic_write
from tagger.inference.settings import ExportSettings
from tagger.inference.torch_network import fold_norms, native_probabilities, photo_probabilities
from tagger.models import bundle
from tagger.models.card import files_of, read
from tagger.models.network import Network

CHECKED_IMAGES = 1_000
"""Number of held-out training images on which a file is checked."""

MAX_DIFFERENCE = 1e-4
"""Largest difference of a probability that rounding may make, without pruning and quantization."""

BATCH = 250
"""Images per forward pass; it divides `CHECKED_IMAGES`."""

Scorer: TypeAlias = Callable[[Tensor], Tensor]
"""Maps images, uint8 (n, 1, 28, 28), to probabilities, float32 (n, labels)."""


@dataclass(frozen=True)
class ExportCheck:
    """Size, speed and predictions of a bundle, or of the file exported from it, on the images that it is checked on."""

    name: str
    size: int
    """Bytes of the weights or the file."""
    compressed: int
    """Bytes after compression by zlib."""
    images_per_second: float
    """Median over batches of `BATCH` images."""
    accuracy: float
    """0..1"""
    same_tags: int
    """Number of images whose most probable label is the bundle's."""
    difference: float
    """Largest absolute difference of a probability from the bundle's."""


def export(settings: ExportSettings) -> tuple[ExportCheck, ExportCheck]:
    """Export a bundle, and return the checks of the bundle and of the file.

    Raises `ExportError` if the bundle or the runtime does not support it, or if a file that is neither pruned nor quantized
    gives other probabilities than the bundle; an older file then stays as it was.
    """
    read_files = [Input("a file of the bundle", file) for file in files_of(settings.model)]
    check_output_paths([Output("--out", settings.out)], [*read_files, *fashion_mnist_files(settings.data)])
    loaded = bundle.load(settings.model)
    if loaded.backbone is not None:
        raise ExportError(
            f"{loaded.model} has a backbone beside its network, which cannot be exported; give a bundle of a single network, "
            "such as catalog-small."
        )
    if loaded.adapter is not None:
        raise ExportError(
            f"{loaded.model} has a shop's adapter beside its network, which cannot be exported; give the bundle that it was "
            f"adapted from, {loaded.card.parent}."
        )
    if settings.int8 and settings.to != "onnx":
        raise ExportError("--int8 is available for ONNX only; give --to onnx, or leave --int8 out.")
    _, held_out = splits.validation_split(fashion_mnist.load_fashion_mnist("train", settings.data))
    checked, others = held_out.take(torch.arange(CHECKED_IMAGES)), held_out.pixels[CHECKED_IMAGES : 2 * CHECKED_IMAGES]
    original = _Scorer(loaded.network(), loaded)
    smaller = _Scorer(prune_weights(loaded.network(), settings.prune), loaded) if settings.prune else original
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "network.pt2")  # torch insists on the suffix, and ONNX on none
        if settings.to == "onnx":
            _write_onnx(smaller, loaded, made)
            if settings.int8:
                _make_int8(made, others)
            scorer = _onnx_scorer(made)
        else:
            _write_program(smaller, loaded, made)
            scorer = _program_scorer(made)
        content = made.read_bytes()
        before = _score(original, checked.pixels)
        after = _score(scorer, checked.pixels)
    weights = read(settings.model).weights()
    rows = (
        _row(loaded.model, weights, before, before, checked.labels),
        _row(settings.out.name, content, after, before, checked.labels),
    )
    if not (settings.prune or settings.int8) and (rows[1].same_tags < len(checked) or rows[1].difference > MAX_DIFFERENCE):
        raise ExportError(
            f"The exported network differs from {loaded.model}: {rows[1].same_tags} of {len(checked)} tags are the same, the "
            f"largest difference of a probability is {rows[1].difference:.2g}; {settings.out} was not written."
        )
    try:
        with atomic_write(settings.out) as file:
            file.write(content)
    except OSError as error:
        raise ExportError(f"{settings.out} cannot be written ({reason_of(error)}).") from error
    return rows


class _Scorer(nn.Module):
    """A network with everything that turns its logits into calibrated probabilities."""

    def __init__(self, network: Network, loaded: bundle.Bundle) -> None:
        super().__init__()
        fold_norms(network.eval())
        self.network = network
        self.temperature, self.photo_temperature = loaded.card.temperature, loaded.card.photo_temperature
        self.labels = len(loaded.card.labels)

    def forward(self, pixels: Tensor) -> Tensor:
        if self.network.photo_head is None:
            return native_probabilities(self.network, pixels, self.temperature)
        return photo_probabilities(self.network, pixels, self.photo_temperature)[:, : self.labels]


def prune_weights(network: Network, share: float) -> Network:
    """Return a copy of the network with the smallest weights of its convolutions and linear layers set to 0.

    Global magnitude pruning (Han et al. 2015, arXiv 1506.02626) of a `share`, 0..1, of the weights, without fine-tuning. The
    tensors keep their shapes, so that the file compresses well, but is neither smaller nor faster by itself.
    """
    network = copy.deepcopy(network)
    weights = [(layer, "weight") for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=share)
    for layer, name in weights:
        prune.remove(layer, name)  # type: ignore[no-untyped-call]
    return network


# Files -------------------------------------------------------------------------------------------------------------


def _exported(scorer: _Scorer) -> torch.export.ExportedProgram:
    """Export the network for any number of images; traced with two, because a batch of one would become a constant."""
    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    return torch.export.export(scorer.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("n")},))


def _metadata(loaded: bundle.Bundle) -> dict[str, str]:
    card = loaded.card
    return {"model": loaded.model, "labels": json.dumps(card.labels), "min_confidence": str(card.min_confidence)}


def _write_program(scorer: _Scorer, loaded: bundle.Bundle, path: Path) -> None:
    torch.export.save(_exported(scorer), path, extra_files={"metadata.json": json.dumps(_metadata(loaded))})


def _program_scorer(path: Path) -> Scorer:
    return torch.export.load(path).module()


def _write_onnx(scorer: _Scorer, loaded: bundle.Bundle, path: Path) -> None:
    with _onnx_required(), _quiet():
        import onnxscript  # noqa: F401 (torch would miss it only after seconds of exporting)

        program = torch.onnx.export(
            _exported(scorer), (), dynamo=True, input_names=["pixels"], output_names=["probabilities"], verbose=False
        )
        assert program is not None
        program.model.metadata_props.update(_metadata(loaded))
        program.save(path)


def _onnx_scorer(path: Path) -> Scorer:
    with _onnx_required():
        import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])


def _make_int8(path: Path, pixels: Tensor) -> None:
    """Quantize weights and activations to int8 with a scale per channel, calibrated on `pixels` (static quantization)."""
    with _onnx_required(), _quiet():
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static, shape_inference

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            """Feeds the images to the library batch by batch."""

            def __init__(self) -> None:
                self.batches = iter(torch.split(pixels, BATCH))

            def get_next(self) -> dict[str, Any] | None:
                batch = next(self.batches, None)
                return None if batch is None else {"pixels": batch.numpy()}

        prepared = path.with_suffix(".prepared")
        # The symbolic inference is for transformers, and older releases end with an error on what torch exports.
        shape_inference.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, path, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)


@contextmanager
def _onnx_required() -> Iterator[None]:
    """Turn the absence of ONNX's packages into an `ExportError` that names the extra to install."""
    try:
        yield
    except ImportError as error:
        raise ExportError(f"ONNX needs more packages ({error.name} is missing): pip install 'fmtag[onnx]'.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output, log and warnings of exporters, which are meant for their developers."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


# Checks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scored:
    probabilities: Tensor
    images_per_second: float


@torch.inference_mode()
def _score(scorer: Scorer, pixels: Tensor) -> _Scored:
    """Return the probabilities of the images and the median speed over batches, without the first, which is slower."""
    probabilities, seconds = [], []
    for batch in torch.split(pixels, BATCH):
        begun = time.perf_counter()
        probabilities.append(scorer(batch))
        seconds.append(time.perf_counter() - begun)
    return _Scored(torch.cat(probabilities), BATCH / statistics.median(seconds[1:]))


def _row(name: str, content: bytes, scored: _Scored, before: _Scored, labels: Tensor) -> ExportCheck:
    tags = scored.probabilities.argmax(1)
    return ExportCheck(
        name=name,
        size=len(content),
        compressed=len(zlib.compress(content)),
        images_per_second=scored.images_per_second,
        accuracy=(tags == labels).float().mean().item(),
        same_tags=int((tags == before.probabilities.argmax(1)).sum()),
        difference=(scored.probabilities - before.probabilities).abs().max().item(),
    )
