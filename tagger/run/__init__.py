"""A run over a catalog: its order, its ledger, and what it reports."""
