"""What ingest knows, without I/O."""
