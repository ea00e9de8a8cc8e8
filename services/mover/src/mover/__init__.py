"""Moves images into the folders that their Nextcloud tags name, and loses none."""
