"""A Kubernetes API in miniature, with a controller that runs workflows by script."""
