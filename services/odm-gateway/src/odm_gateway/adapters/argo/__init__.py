"""Runs jobs as Argo Workflows, through nothing but the Kubernetes API and the object store."""
