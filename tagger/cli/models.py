"""`fmtag models`: list bundles, show one, set the default."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table

from tagger.cli.options import with_debug
from tagger.cli.terminal import Terminal, require_standard_output, say
from tagger.errors import BundleError
from tagger.escaping import for_json

if TYPE_CHECKING:
    from tagger.models.card import Card
    from tagger.models.network import Network


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the shipped bundles and your own; show one with `show NAME`, set the default with `default NAME`."""
    if context.invoked_subcommand is None:
        from tagger.models import registry

        require_standard_output()
        shipped, own = registry.shipped_bundles(), registry.user_bundles()
        try:
            chosen = registry.default_model()
        except BundleError as error:  # the bundles can be listed all the same, to choose another default
            say(f"Warning: {error}", err=True)
            chosen = ""
        print_models(shipped, own, chosen)


@models.command(short_help="Set the bundle that is used where none is named.")
@click.argument("name")
@with_debug
def default(name: str) -> None:
    """Set the bundle NAME as the default, which is used where no bundle is named."""
    from tagger.models import bundle

    say(f"{bundle.set_default_model(name).model} tags from now on where no --model is given.", err=True)


@models.command(short_help="Print the card and the layers of a bundle.")
@click.argument("name")
@with_debug
def show(name: str) -> None:
    """Print the card and files of the bundle NAME as JSON, and its layers: output shapes, parameters, multiply-accumulates."""
    from tagger.models import bundle
    from tagger.models.card import card_as_json, read

    require_standard_output()
    loaded, stored = bundle.load(name), read(name)
    files = {"weights": stored.weights_file} | ({"backbone": stored.backbone_file} if stored.backbone_file else {})
    card = {
        "model": loaded.model,
        **card_as_json(loaded.card),
        "files": {key: file._asdict() for key, file in files.items()},
    }
    click.echo(for_json(json.dumps(card, indent=2, ensure_ascii=False)))
    print_layers(loaded.network())


def print_models(shipped: Iterable[Path], own: Iterable[Path], default: str) -> None:
    """Print a line per bundle: its model, its origin, and whether it is the default."""
    from tagger.models import bundle

    for origin, folders in (("shipped", shipped), ("own", own)):
        for folder in folders:
            try:
                loaded = bundle.load(folder)
            except BundleError as error:
                say(f"{folder.name}  {error}")
                continue
            mark = "  default" if folder.name == default or str(folder.resolve()) == default else ""
            say(f"{loaded.model}  {origin}, {_summary(loaded.card)}{mark}")


def _summary(card: "Card") -> str:
    if card.parent:
        gained = card.metrics.get("cross_validated", {}).get("all")
        found = f", {gained['after']:.3f} right of {gained['n']} labelled photos" if gained else ", without labels"
        return f"adapted from {card.parent}{found}"
    return f"Fashion-MNIST test accuracy {card.metrics.get('test', {}).get('accuracy')}"


def print_layers(network: "Network") -> None:
    """Print a row per layer: the shape of its output for one image, its parameters and multiply-accumulates; then the sums."""
    from tagger.models.summary import count_parameters, layers

    table = Table("layer", "kind", box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("output", "parameters", "MACs"):
        table.add_column(title, justify="right")
    every = layers(network)
    for layer in every:
        shape = "x".join(map(str, layer.output))
        table.add_row(layer.name, layer.kind, shape, _count(layer.parameters), _count(layer.macs))
    table.add_section()
    table.add_row("all", "", "", f"{count_parameters(network):,}", f"{sum(layer.macs for layer in every):,}")
    Terminal().print(table)


def _count(value: int) -> str:
    return f"{value:,}" if value else "-"
