"""The NodeODM API: what PyODM, WebODM, CloudODM and ClusterODM speak."""
