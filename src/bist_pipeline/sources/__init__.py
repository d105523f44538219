"""Where prices, securities and fundamentals come from."""
