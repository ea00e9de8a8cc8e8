"""Recipes, and their runs: several operations asked for as one."""
