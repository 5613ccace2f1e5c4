"""Training data: labels, images, data sets, splits and augmentation."""
