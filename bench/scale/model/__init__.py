"""A day on a cluster as a discrete-event model: waiting, pods, cost, and what spot nodes take back."""
