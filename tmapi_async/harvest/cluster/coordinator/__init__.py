"""The coordinator: gives listings to workers, and shares out slots and budget."""
