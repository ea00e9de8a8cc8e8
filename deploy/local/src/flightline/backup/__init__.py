"""Backups: everything that cannot be made again, in one folder, and back."""
