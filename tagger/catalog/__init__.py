"""Catalogs: sources of items, tables of labels, and the rows that are written."""
