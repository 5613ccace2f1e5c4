"""Tag a catalog: the pipeline of a run, its ledger and its report."""
