"""Image files: decoded, the product found in them, and cut to what the networks see."""
