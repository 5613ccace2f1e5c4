"""Fashion-MNIST's labels and their groups."""

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The ten classes in Fashion-MNIST's order (https://github.com/zalandoresearch/fashion-mnist)."""

NONE = len(LABELS)
"""Index of the additional class "none of these", for out-of-distribution (OOD) objects."""

GROUPS = {
    "T-shirt/top": "upper body",
    "Trouser": "lower body",
    "Pullover": "upper body",
    "Dress": "full body",
    "Coat": "upper body",
    "Sandal": "footwear",
    "Shirt": "upper body",
    "Sneaker": "footwear",
    "Bag": "accessory",
    "Ankle boot": "footwear",
}
"""Coarser group of each label."""
