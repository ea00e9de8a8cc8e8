"""What the mover knows: which folder a file's tags ask for, and what became of it."""
