"""The worker: walks the listings it is given, within its share of the slots."""
