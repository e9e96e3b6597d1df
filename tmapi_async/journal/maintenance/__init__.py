"""Care of a journal as a whole: verify it, copy it, and save a damaged one."""
