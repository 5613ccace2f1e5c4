"""Synthetic training images: drawn objects, composed photos of persons, and the training mix for photos."""
