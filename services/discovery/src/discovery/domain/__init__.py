"""What discovery knows, without I/O."""
