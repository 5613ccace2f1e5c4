"""Networks, adapters, and the bundles that store them with their cards."""
