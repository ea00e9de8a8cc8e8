"""What an operator does by commands."""
