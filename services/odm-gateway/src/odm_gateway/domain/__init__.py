"""What the gateway knows: tasks, options, console lines and assets, without I/O."""
