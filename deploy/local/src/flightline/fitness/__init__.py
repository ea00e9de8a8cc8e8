"""Whether this machine, the settings and the backends are fit for work, and what to do where they are not."""
