"""From a journal to tables, files and databases."""
