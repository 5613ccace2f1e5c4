"""Photo files: decoding, detection of the product, and product images."""
