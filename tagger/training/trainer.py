"""The training procedure, from top to bottom: cycles, epochs, batches, the step and its loss."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.data.augmentation import cutout, random_shift_flip
from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.models.network import Network, logits_in_batches
from tagger.training.checkpoint import training_identity
from tagger.training.cuda_graph import Step, capture
from tagger.training.distillation import distillation_targets
from tagger.training.history import EpochMetrics, best_epoch, is_patience_over
from tagger.training.job import TrainingJob
from tagger.training.optimizers import is_on_cuda, learning_rate_share, set_learning_rates
from tagger.training.recipe import Cycle, Recipe
from tagger.training.state import TrainingState

FULL_SIDE = 28
"""Side of the images, in pixels; the first epochs of a cycle may shrink them."""


def train(job: TrainingJob) -> tuple[Network, list[EpochMetrics]]:
    """Train a network and return it, with averaged weights, on the CPU, and the metrics of every epoch.

    After each epoch the checkpoint is replaced; a resumed training, which must have the same recipe, shape, labels and images,
    ends in the same weights as an uninterrupted one. With `recipe.patience` training ends early once the held-out loss no
    longer falls, and the network is that of the best epoch. Augmentations are the same on every device. Raises `TrainingError`
    where there are too few images, nothing is held out for the patience, the loss diverges, or the checkpoint does not fit.
    """
    recipe = job.recipe
    if recipe.patience and job.held_out is None:
        raise TrainingError(
            "--patience needs held-out images, and --calibrated-by trains on all of them; leave one of these options out."
        )
    identity = training_identity(job)
    state = TrainingState.initial(job)
    if job.resume:
        state.restore(job.checkpoint, identity)
    images = job.images.to(job.device)
    held_out = None if job.held_out is None else job.held_out.to(job.device)
    class_weights = balanced_class_weights(images.labels, job.config.classes) if recipe.class_weighted else None

    first_epoch, step_side = len(state.history), 0
    for epoch in range(first_epoch, recipe.epochs):
        if is_patience_over(state.history, recipe.patience):
            break
        cycle, cycle_start = recipe.cycle_at(epoch)
        side = _image_side(recipe, epoch) if job.config.sees_any_side else FULL_SIDE
        if epoch in (first_epoch, cycle_start):
            targets, easy = distillation_targets(images, cycle, [*job.teachers, *state.earlier_networks()])
            steps_per_epoch = _count_steps(easy, recipe, cycle)
        if epoch in (first_epoch, cycle_start) or side != step_side:
            take_step, step_side = _step_of(state, cycle, job.device), side

        started = time.monotonic()  # without the targets, computed once per cycle: the time left is estimated from this
        losses = []
        torch.manual_seed(_epoch_seed(recipe, epoch))  # for dropout, so that a resumed training draws the same
        state.network.train()
        for step, (pixels, chosen) in enumerate(_batches(images, recipe, epoch, easy), (epoch - cycle_start) * steps_per_epoch):
            share = cycle.peak_lr_scale
            if not recipe.constant_learning_rate:
                share *= learning_rate_share(step, steps_per_epoch * cycle.epochs, cycle.warmup_steps)
            set_learning_rates(state.optimizers, share)
            photo = None if images.photo is None else images.photo[chosen]
            weight = None if class_weights is None else class_weights[images.labels[chosen]]
            losses.append(take_step(_resized(pixels, side), targets[chosen], photo, weight))
            state.ema.update()
        loss = torch.stack(losses).mean().item()
        if not loss < float("inf"):
            raise TrainingError("The loss is no longer a number; train with lower learning rates (--lr) or another --seed.")

        seconds = time.monotonic() - started
        accuracy, held_out_loss = (None, None) if held_out is None else _measure(state.ema.network, held_out, side)
        seconds_left = _seconds_left(epoch, seconds, recipe)
        state.history.append(
            EpochMetrics(epoch + 1, recipe.epochs, loss, accuracy, held_out_loss, seconds, seconds_left),
        )
        if epoch + 1 == cycle_start + cycle.epochs:
            state.snapshots.append(state.snapshot())
        if recipe.patience and best_epoch(state.history) == epoch + 1:
            state.best = state.snapshot()
        state.save(job.checkpoint, identity)
        job.on_epoch(state.history[-1])
    return state.result(), state.history


def balanced_class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return weights (classes,) that give every class among the labels (n,) the same sum, and an image 1 on average.

    The heuristic of scikit-learn's `class_weight="balanced"` (King and Zeng 2001, Logistic regression in rare events data).
    """
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (int((counts > 0).sum()) * counts.clamp_min(1))


# Epochs


def _epoch_seed(recipe: Recipe, epoch: int) -> int:
    """Return a seed of its own for each epoch, so that what it draws does not depend on the epochs before."""
    return recipe.seed * 1_000_003 + epoch


def _image_side(recipe: Recipe, epoch: int) -> int:
    """Return the side, in pixels, to which an epoch's images are resized."""
    cycle, cycle_start = recipe.cycle_at(epoch)
    return cycle.low_resolution if epoch - cycle_start < cycle.low_resolution_epochs else FULL_SIDE


def _count_steps(easy: Tensor, recipe: Recipe, cycle: Cycle) -> int:
    """Return the number of steps per epoch; raises `TrainingError` where the images do not fill a batch."""
    count = int((~easy).sum()) + _count_easy(easy, cycle)
    if count < recipe.batch_size:
        raise TrainingError(
            f"A batch of {recipe.batch_size} needs as many training images, but an epoch has {count}; lower --batch-size."
        )
    return count // recipe.batch_size


def _count_easy(easy: Tensor, cycle: Cycle) -> int:
    """Return how many of the easy images, bool (n,), an epoch trains on; it trains on all others."""
    return round(cycle.easy_keep_fraction * int(easy.sum()))


def _seconds_left(epoch: int, seconds: float, recipe: Recipe) -> float:
    """Estimate the seconds to the end from those of an epoch: time grows with the square of the images' side."""
    left = sum(_image_side(recipe, later) ** 2 for later in range(epoch + 1, recipe.epochs))
    return seconds * left / _image_side(recipe, epoch) ** 2


def _measure(network: nn.Module, images: Images, side: int) -> tuple[float, float]:
    """Return accuracy 0..1 and mean cross-entropy in nats on images resized to `side` pixels."""
    logits = logits_in_batches(network.eval(), _resized(images.pixels, side))
    accuracy = (logits.argmax(1) == images.labels).float().mean().item()
    return accuracy, functional.cross_entropy(logits, images.labels).item()


# Batches


def _batches(images: Images, recipe: Recipe, epoch: int, easy: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of augmented pixels uint8 (batch, 1, 28, 28) and the images' indices (batch,).

    They depend on the recipe's seed and the epoch alone. Of the images marked `easy`, bool (n,), each epoch has another share.
    """
    cycle, _ = recipe.cycle_at(epoch)
    rng = torch.Generator().manual_seed(_epoch_seed(recipe, epoch))
    mirrored = torch.rand(len(images), generator=torch.Generator().manual_seed(recipe.seed)) < 0.5
    # Every image both ways within two epochs: alternating flip, arXiv 2404.00498.
    mirrored = ((mirrored ^ (epoch % 2 == 1)) & recipe.alternating_flip).to(images.pixels.device)
    order = torch.randperm(len(images), generator=rng)
    if easy is not None:
        order = order[~easy[order] | (easy[order].cumsum(0) <= _count_easy(easy, cycle))]
    order = order.to(images.pixels.device)
    for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        pixels = random_shift_flip(images.pixels[chosen], mirrored[chosen], recipe.shift, rng)
        yield cutout(pixels, cycle.cutout_probability, cycle.cutout_size, rng), chosen


def _resized(pixels: Tensor, side: int) -> Tensor:
    """Return pixels (n, 1, h, w) at h = w = `side`, as float where that changes them."""
    if pixels.shape[-1] == side:
        return pixels
    return functional.interpolate(pixels.float(), (side, side), mode="area")


# The step


def _step_of(state: TrainingState, cycle: Cycle, device: torch.device) -> Step:
    """Return the step of a cycle for images of one side, as a function of the tensors that differ from step to step."""

    def step(pixels: Tensor, targets: Tensor, photo: Tensor | None, weight: Tensor | None) -> Tensor:
        return _train_step(state.network, state.optimizers, pixels, targets, cycle, photo, weight)

    return capture(step) if device.type == "cuda" else step


def _train_step(
    network: Network,
    optimizers: list[torch.optim.Optimizer],
    pixels: Tensor,
    targets: Tensor,
    cycle: Cycle,
    photo: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Take an optimizer step and return its loss; arguments as those of `_loss`."""
    loss = _loss(network, pixels, targets, cycle, photo, weight)
    network.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
    return loss.detach()


def _loss(
    network: Network, pixels: Tensor, targets: Tensor, cycle: Cycle, photo: Tensor | None, weight: Tensor | None
) -> Tensor:
    """Return the mean cross-entropy of a batch: pixels (n, 1, h, w), targets int64 (n,) or float32 (n, classes).

    With `weight` (n,) images count by it. Otherwise, where the network has a head for photos, each image trains the head of its
    kind alone: `photo` bool (n,) marks those that stand for photos.
    """
    smoothing = cycle.label_smoothing
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=_is_faster_in_bfloat16(network)):
        features = network.features(pixels)
        native_logits = network.head(features)
        photo_logits = None if network.photo_head is None else network.photo_head(features)
    if weight is not None:
        losses = functional.cross_entropy(native_logits.float(), targets, label_smoothing=smoothing, reduction="none")
        return (weight * losses).mean()
    if photo is None or photo_logits is None:
        return functional.cross_entropy(native_logits.float(), targets, label_smoothing=smoothing)
    photo_losses, native_losses = (
        functional.cross_entropy(logits.float(), targets[:, : logits.shape[1]], label_smoothing=smoothing, reduction="none")
        for logits in (photo_logits, native_logits)
    )
    return torch.where(photo, photo_losses, cycle.fashion_mnist_weight * native_losses).mean()


def _is_faster_in_bfloat16(network: nn.Module) -> bool:
    """Whether the CPU computes in bfloat16 natively and the network's convolutions are not depthwise; or the GPU does.

    Emulation is ten times slower, and on CPUs depthwise convolutions take twice as long as in float32 (oneDNN 3, gradients).
    """
    if is_on_cuda(network):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    depthwise = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())
    return not depthwise and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
