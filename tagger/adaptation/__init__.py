"""Adapting a bundle to a shop's catalog, with or without labels."""
