"""Simulated drone flights: photos with metadata over made-up country, and the truth about them."""

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from flightline.simulation.truth import Truth, load_truth

__all__ = ["FlightPlan", "Truth", "load_truth", "simulate_flight"]
