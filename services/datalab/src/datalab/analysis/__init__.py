"""Questions about one file that are answered while the caller waits."""
