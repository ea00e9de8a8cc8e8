"""Files that operations work on: who may see them, and their bytes on this machine."""
