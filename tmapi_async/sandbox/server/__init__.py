"""HTTP server of the sandbox: decisions, delivery of replies, control, threads and processes."""
