"""Rank the shares of Borsa Istanbul by what they may earn over the next quarter, every session."""

__version__ = "0.1.0"
