"""A journal that another process writes to, looked at again and again at a small cost."""
