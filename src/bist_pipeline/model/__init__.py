"""Pipeline, walk-forward splits, metrics and the promotion gate. Pure."""
