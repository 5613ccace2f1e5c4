"""Synthetic training images: drawn objects, composed figures, and the mix for photos."""
