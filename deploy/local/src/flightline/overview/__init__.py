"""What is going on, in one look: services, backends, queues, work, failures, and what is amiss."""
