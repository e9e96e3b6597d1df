"""Worker side: sessions that walk listings within their share of an account's limits."""
