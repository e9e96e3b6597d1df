"""A discrete-event simulator of the account's limit, driving the real controller and frontier."""
