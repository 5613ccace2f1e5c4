"""The recipe that makes a network from labelled pictures, read from top to bottom."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.data.augmentation import cutout, random_shift_flip
from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.inference.device import CPU
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, logits_in_batches
from tagger.training.checkpoint import damage_as_error, load, save, training_identity
from tagger.training.cuda_graph import Step, capture
from tagger.training.distillation import distillation_targets
from tagger.training.ema import WeightEMA
from tagger.training.optimizers import build_optimizers, is_on_cuda, learning_rate_share, set_learning_rates
from tagger.training.recipe import Cycle, Recipe


@dataclass(frozen=True)
class EpochMetrics:
    """How training stands after an epoch; what is held out is asked of the averaged weights, None where nothing is."""

    epoch: int
    epochs: int
    loss: float
    held_out_accuracy: float | None
    held_out_loss: float | None
    seconds: float
    seconds_left: float


def train(
    recipe: Recipe,
    config: NetworkConfig,
    pictures: Images,
    held_out: Images | None,
    checkpoint: Path,
    resume: bool = False,
    report: Callable[[EpochMetrics], None] = lambda _: None,
    start: Network | None = None,
    teachers: Sequence[nn.Module] = (),
    device: torch.device = CPU,
) -> tuple[Network, list[EpochMetrics]]:
    """Return the averaged network after `recipe.epochs` and the figures of every epoch.

    After each epoch `checkpoint` is replaced; with `resume` training goes on from it, which has to be of the same recipe,
    shape, labels and pictures, and ends in the same weights as without the interruption. Training begins with the weights of
    `start` as far as the network has them. What `teachers` say, in evaluation mode, is learnt beside the labels where a cycle
    has a share of distillation. With `recipe.patience` it ends early where the held-out loss no longer falls, and the network
    is that of the best epoch. It is computed on `device`, "cpu" or "cuda", on the same views of the pictures, and returned on
    the processor. Raises `TrainingError` where it cannot.
    """
    if recipe.patience and held_out is None:
        raise TrainingError(
            "Nothing is held out, so nothing tells when to stop early; leave --patience or --calibrated-by out."
        )
    torch.manual_seed(recipe.seed)
    network = Network(config)
    if start is not None:
        _begin_with(network, start)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightEMA(network, recipe.ema_decay)
    optimizers = build_optimizers(network, recipe)
    history: list[EpochMetrics] = []
    ends: list[dict[str, Tensor]] = []
    best: dict[str, Tensor] | None = None
    identity = training_identity(recipe, config, pictures, held_out)
    if resume:
        history, ends, best = _restore(checkpoint, identity, network, average, optimizers)

    begun = len(history)
    pictures = pictures.to(device)
    held_out = None if held_out is None else held_out.to(device)
    take, made_for = _step_of(network, optimizers, recipe.cycles[0], device), (-1, 0)
    weights = _class_weights(pictures.labels, config.classes) if recipe.class_weighted else None
    targets, easy = pictures.labels, torch.zeros(len(pictures), dtype=torch.bool)
    for epoch in range(begun, recipe.epochs):
        if _is_patience_over(history, recipe.patience):
            break
        cycle, first = recipe.cycle_at(epoch)
        if epoch in (begun, first):
            targets, easy = distillation_targets(pictures, cycle, [*teachers, *(_network_from(end, config) for end in ends)])
        steps_an_epoch = (int((~easy).sum()) + _easy_count(easy, cycle)) // recipe.batch_size
        if steps_an_epoch == 0:
            raise TrainingError(f"A batch of {recipe.batch_size} needs more than {len(pictures)} pictures; lower --batch-size.")
        started = time.monotonic()  # after the targets, made once a cycle: the time left is told from an epoch's own
        side = _side(recipe, epoch) if config.sees_any_side else 28
        if (first, side) != made_for:
            take, made_for = _step_of(network, optimizers, cycle, device), (first, side)
        losses = []
        torch.manual_seed(recipe.seed * 1_000_003 + epoch)  # dropout's chance, the same wherever training was interrupted
        network.train()
        for step, (pixels, chosen) in enumerate(_batches(pictures, recipe, epoch, easy), (epoch - first) * steps_an_epoch):
            share = cycle.peak_lr_scale
            if not recipe.constant_learning_rate:
                share *= learning_rate_share(step, steps_an_epoch * cycle.epochs, cycle.warmup_steps)
            set_learning_rates(optimizers, share)
            photo = None if pictures.photo is None else pictures.photo[chosen]
            seen = _resized(pixels, side)
            weight = None if weights is None else weights[pictures.labels[chosen]]
            losses.append(take(seen, targets[chosen], photo, weight))
            average.update()
        loss = torch.stack(losses).mean().item()
        if not loss < float("inf"):
            raise TrainingError("The loss is no longer a number; train with lower learning rates or another seed.")

        seconds = time.monotonic() - started
        accuracy, held_out_loss = _measure(average.network, held_out, side) if held_out is not None else (None, None)
        left = _seconds_left(epoch, seconds, recipe)
        history.append(EpochMetrics(epoch + 1, recipe.epochs, loss, accuracy, held_out_loss, seconds, left))
        if epoch + 1 == first + cycle.epochs:
            ends.append(_snapshot(average.network))
        if recipe.patience and _best_epoch(history) == epoch + 1:
            best = _snapshot(average.network)
        state = {
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "history": [asdict(metrics) for metrics in history],
            "ends": ends,
            "best": best,
        }
        save(checkpoint, identity, state)
        report(history[-1])
    return _network_from(best or ends[-1], config), history


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return weights (classes,) with which every class among the labels (n,) counts the same, and a label 1 on average.

    The heuristic of scikit-learn's `class_weight="balanced"` (King and Zeng 2001, Logistic regression in rare events data).
    """
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (int((counts > 0).sum()) * counts.clamp_min(1))


def _best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the epoch, counted from 1, whose averaged weights had the least held-out loss, the first of equals."""
    losses = [float("inf") if metrics.held_out_loss is None else metrics.held_out_loss for metrics in history]
    return losses.index(min(losses)) + 1


def _is_patience_over(history: Sequence[EpochMetrics], patience: int) -> bool:
    return patience > 0 and len(history) > 0 and len(history) - _best_epoch(history) >= patience


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights as they are now; training goes on with others."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _begin_with(network: Network, start: Network) -> None:
    """Take the weights of `start` over; a head for photos that it lacks begins as a copy of its only head.

    The class "none of these", which no head before knew, begins as an unlikely one. Where the network has no head for photos,
    that of `start` is left out.
    """
    weights = dict(start.state_dict())
    if network.photo_head is None:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("photo_head.")}
    if network.photo_head is not None and start.photo_head is None:
        none = network.config.photo_classes - network.config.classes
        weights["photo_head.weight"] = functional.pad(start.head.weight, (0, 0, 0, none)).detach()
        weights["photo_head.bias"] = functional.pad(start.head.bias, (0, none), value=-2.0).detach()
    network.load_state_dict(weights)


def _network_from(end: dict[str, Tensor], config: NetworkConfig) -> Network:
    """Return the network with which a cycle ended, ready for use."""
    network = Network(config)
    network.load_state_dict(end)
    return network.eval()


def _step_of(network: Network, optimizers: list[torch.optim.Optimizer], cycle: Cycle, device: torch.device) -> Step:
    """Return the step of a cycle, for pictures of one side, as a function of what changes from one step to the next."""

    def step(pixels: Tensor, targets: Tensor, photo: Tensor | None, weight: Tensor | None) -> Tensor:
        return _train_step(network, optimizers, pixels, targets, cycle, photo, weight)

    return capture(step) if device.type == "cuda" else step


def _easy_count(easy: Tensor, cycle: Cycle) -> int:
    """Return how many of the pictures marked easy, bool (n,), an epoch sees; it sees all others."""
    return round(cycle.easy_keep_fraction * int(easy.sum()))


def _train_step(
    network: Network,
    optimizers: list[torch.optim.Optimizer],
    pixels: Tensor,
    targets: Tensor,
    cycle: Cycle,
    photo: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Take a step and return its loss; `photo` (n,) says which pictures stand for photos, `weight` (n,) what each counts."""
    smoothing = cycle.label_smoothing
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=_is_faster_in_bfloat16(network)):
        features = network.features(pixels)
        native = network.head(features)
        of_photos = None if network.photo_head is None else network.photo_head(features)
    if weight is not None:
        losses = functional.cross_entropy(native.float(), targets, label_smoothing=smoothing, reduction="none")
        loss = (weight * losses).mean()
    elif photo is None or of_photos is None:
        loss = functional.cross_entropy(native.float(), targets, label_smoothing=smoothing)
    else:  # each picture teaches the head of its kind
        as_photos, as_natives = (
            functional.cross_entropy(logits.float(), targets[:, : logits.shape[1]], label_smoothing=smoothing, reduction="none")
            for logits in (of_photos, native)
        )
        loss = torch.where(photo, as_photos, cycle.fashion_mnist_weight * as_natives).mean()
    network.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
    return loss.detach()


def _is_faster_in_bfloat16(network: nn.Module) -> bool:
    """Whether the processor computes in bfloat16 itself, and the network's convolutions are not depthwise; or the GPU does.

    Emulation is ten times slower, and on processors depthwise ones take twice as long as in float32 (oneDNN 3, gradients).
    """
    if is_on_cuda(network):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    depthwise = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())
    return not depthwise and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _batches(pictures: Images, recipe: Recipe, epoch: int, easy: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield augmented pictures with their numbers, the same for one seed and epoch wherever training was interrupted."""
    cycle, _ = recipe.cycle_at(epoch)
    rng = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    mirrored = torch.rand(len(pictures), generator=torch.Generator().manual_seed(recipe.seed)) < 0.5
    # Every picture both ways within two epochs: alternating flip, arXiv 2404.00498.
    mirrored = ((mirrored ^ (epoch % 2 == 1)) & recipe.alternating_flip).to(pictures.pixels.device)
    order = torch.randperm(len(pictures), generator=rng)
    if easy is not None:
        order = order[~easy[order] | (easy[order].cumsum(0) <= _easy_count(easy, cycle))]
    order = order.to(pictures.pixels.device)
    for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        pixels = random_shift_flip(pictures.pixels[chosen], mirrored[chosen], recipe.shift, rng)
        yield cutout(pixels, cycle.cutout_probability, cycle.cutout_size, rng), chosen


def _resized(pixels: Tensor, side: int) -> Tensor:
    if pixels.shape[-1] == side:
        return pixels
    return functional.interpolate(pixels.float(), (side, side), mode="area")


def _measure(network: nn.Module, pictures: Images, side: int) -> tuple[float, float]:
    """Return accuracy 0..1 and mean cross-entropy in nats at a side of `side` pixels."""
    logits = logits_in_batches(network.eval(), _resized(pictures.pixels, side))
    accuracy = (logits.argmax(1) == pictures.labels).float().mean().item()
    return accuracy, functional.cross_entropy(logits, pictures.labels).item()


def _side(recipe: Recipe, epoch: int) -> int:
    cycle, first = recipe.cycle_at(epoch)
    return cycle.low_resolution if epoch - first < cycle.low_resolution_epochs else 28


def _seconds_left(epoch: int, seconds: float, recipe: Recipe) -> float:
    """Return the seconds to the end, from the last epoch's, where work goes with the square of the side."""
    left = sum(_side(recipe, later) ** 2 for later in range(epoch + 1, recipe.epochs))
    return seconds * left / _side(recipe, epoch) ** 2


def _restore(
    path: Path,
    identity: Mapping[str, Any],
    network: nn.Module,
    average: WeightEMA,
    optimizers: list[torch.optim.Optimizer],
) -> tuple[list[EpochMetrics], list[dict[str, Tensor]], dict[str, Tensor] | None]:
    """Bring network, average and optimizers to where the checkpoint left them; return history, ends of cycles and best end."""
    with damage_as_error(path):
        state = load(path, identity, next(network.parameters()).device)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            # Its numbers are the recipe's and this device's, which may not be the one that the checkpoint is from.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
        return [EpochMetrics(**metrics) for metrics in state["history"]], list(state["ends"]), state["best"]
