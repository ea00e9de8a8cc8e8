"""How discovery talks to systems outside."""
