"""Options that `fmtag finetune` and `fmtag retrain` share: the same names and ranges, parsed alike."""

import click
import pytest

from tagger.cli.finetune import finetune
from tagger.cli.retrain import retrain
from tagger.cli.training_options import augmentations

ONLY_RETRAIN = {"--data", "--mix", "--photos", "--recipe", "--calibrated-by", "--start", "--backbone"}
"""Options that do not apply to labelled photos, the source itself, and an older name of --from."""


def by_name(command: click.Command) -> dict[str, click.Parameter]:
    """Return the options of a command by each of their long names."""
    return {name: option for option in command.params if isinstance(option, click.Option) for name in option.opts}


def test_finetune_has_the_options_of_retrain_that_make_sense() -> None:
    """Both have the same options besides those for Fashion-MNIST and the mix, with the same types and defaults."""
    tuning, training = by_name(finetune), by_name(retrain)
    assert set(training) - set(tuning) == ONLY_RETRAIN
    assert set(tuning) <= set(training)
    for name, option in tuning.items():
        twin = training[name]
        assert (repr(option.type), option.default, option.multiple) == (repr(twin.type), twin.default, twin.multiple), name


@pytest.mark.parametrize(
    ("value", "ways"),
    [(None, None), ("none", ()), ("flip", ("flip",)), ("cutout, flip", ("flip", "cutout")), ("shift,shift", ("shift",))],
)
def test_augmentations_are_a_list_with_commas(value: str | None, ways: tuple[str, ...] | None) -> None:
    """Their order and repetitions do not matter, `none` is an empty list, and without the option the recipe decides."""
    context = click.Context(finetune)
    assert augmentations(context, by_name(finetune)["--augment"], value) == ways


@pytest.mark.parametrize("value", ["", "flip,", "spin", "none,flip"])
def test_unknown_augmentations_are_refused(value: str) -> None:
    """Anything else in the list is wrong usage."""
    with pytest.raises(click.BadParameter, match="none of flip, shift, cutout"):
        augmentations(click.Context(finetune), by_name(finetune)["--augment"], value)
