"""What the Helm chart takes from the code: facts of the services, and the schema of its values."""
