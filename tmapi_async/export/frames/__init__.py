"""Rows as Arrow tables and data frames in memory."""
