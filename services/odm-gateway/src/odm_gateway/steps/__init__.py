"""The steps of a job on a cluster, around the runner: ``python -m odm_gateway.steps fetch|publish|ship``."""
