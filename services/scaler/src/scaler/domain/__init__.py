"""What scaling is, without any input or output."""
