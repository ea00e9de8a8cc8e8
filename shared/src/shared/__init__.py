"""Contract and plumbing of the Flightline services."""
