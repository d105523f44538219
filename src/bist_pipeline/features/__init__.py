"""Feature families and their registry. Pure."""
