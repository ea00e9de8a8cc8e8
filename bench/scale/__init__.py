"""What scale does to the whole: for real on one machine, and in a model of a day on a cluster."""
