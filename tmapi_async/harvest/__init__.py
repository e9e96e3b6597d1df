"""The durable harvest: a job that a kill cannot hurt."""
