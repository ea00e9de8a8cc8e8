"""Finds flights, announces each version once, and keeps their status as users see it."""
