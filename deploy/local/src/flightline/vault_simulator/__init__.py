"""A Vault to try things out with: key-value secrets, tokens and logins over HTTP, as hvac uses them."""

from flightline.vault_simulator.faults import Rule
from flightline.vault_simulator.serving import serving
from flightline.vault_simulator.vault import SimulatedVault

__all__ = ["Rule", "SimulatedVault", "serving"]
