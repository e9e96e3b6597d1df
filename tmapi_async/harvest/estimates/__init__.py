"""Cost of a harvest in requests and time, before it is paid for."""
