"""A Tapis to try things out with: logins, systems and files over HTTP, as tapipy and browsers use them."""

from flightline.tapis_simulator.faults import Fault, Match, Rule
from flightline.tapis_simulator.serving import serving
from flightline.tapis_simulator.systems import StorageSystem
from flightline.tapis_simulator.tapis import Pace, Tapis

__all__ = ["Fault", "Match", "Pace", "Rule", "StorageSystem", "Tapis", "serving"]
