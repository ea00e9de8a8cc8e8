"""Events on their way: the bus, its two adapters, consumer, outbox relay and dead letters."""
