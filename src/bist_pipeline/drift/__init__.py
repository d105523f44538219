"""Drift checks, from data quality to policy. Pure."""
