"""Cache of pages: what was paid for once is not requested again while it is young enough."""
