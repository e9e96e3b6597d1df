"""Changes of items from visit to visit, for tables that outlive an export."""
