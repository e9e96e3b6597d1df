"""The SQLite journal: every page that was paid for, durable before it counts. No HTTP."""
