"""Places of a file: a folder of this machine, or an object store."""
