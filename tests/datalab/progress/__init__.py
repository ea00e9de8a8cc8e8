"""Server-sent progress, and those who wait."""
