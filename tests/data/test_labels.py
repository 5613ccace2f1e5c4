"""The labels are Fashion-MNIST's ten in its order, each in a group."""
# ruff: noqa: SIM300 - the expected value stands first

from tagger.data.labels import GROUPS, LABELS, NONE


def test_labels_are_in_fashion_mnists_order() -> None:
    """The index of a label is Fashion-MNIST's class number; bundles and results depend on it."""
    expected = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    assert expected.split(",") == list(LABELS)


def test_no_class_comes_after_the_labels() -> None:
    """The class "none of these" is one more than the last label."""
    assert 10 == NONE == len(LABELS)


def test_every_label_has_a_group() -> None:
    """Groups cover the labels in their order; the three shoes are one group, and so are the garments of the upper body."""
    assert list(LABELS) == list(GROUPS)
    members = {group: [label for label in LABELS if GROUPS[label] == group] for group in GROUPS.values()}
    assert {
        "upper body": ["T-shirt/top", "Pullover", "Coat", "Shirt"],
        "lower body": ["Trouser"],
        "full body": ["Dress"],
        "footwear": ["Sandal", "Sneaker", "Ankle boot"],
        "accessory": ["Bag"],
    } == members
