"""What else such pages could be fetched with: each peer in an environment of its own, pinned."""
