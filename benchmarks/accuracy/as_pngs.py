"""Write Fashion-MNIST's test set as PNGs, one subfolder per class, which `fmtag evaluate FOLDER` must score alike.

python -m benchmarks.accuracy.as_pngs FOLDER
"""

import sys
from pathlib import Path

from PIL import Image

from tagger.data.fashion_mnist import load_fashion_mnist
from tagger.data.labels import LABELS


def main(folder: Path) -> None:
    """Write the 10,000 files."""
    test = load_fashion_mnist("test")
    for number, (pixels, label) in enumerate(zip(test.pixels.numpy(), test.labels.tolist(), strict=True)):
        of_class = folder / LABELS[label].replace("/", "-")
        of_class.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(of_class / f"{number:05d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
