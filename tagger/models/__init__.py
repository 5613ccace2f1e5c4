"""Networks, the bundles that hold them, and where bundles lie."""
