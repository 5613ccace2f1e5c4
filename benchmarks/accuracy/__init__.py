"""Accuracy of bundles, and what each part of recipe, product detection and adaptation contributes."""
