"""Cleaning, universe, labels and price limits. Pure."""
