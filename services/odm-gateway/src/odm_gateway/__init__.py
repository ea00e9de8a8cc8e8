"""Turns staged images into orthophotos, behind the NodeODM API."""
