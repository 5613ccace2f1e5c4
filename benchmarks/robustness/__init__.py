"""Runs that are killed, and photos of products that no class fits."""
