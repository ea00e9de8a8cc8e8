"""Simulated drone flights: photos with metadata over made-up country, and the truth about them."""
