"""Several frames brought onto one grid, and made one image."""
