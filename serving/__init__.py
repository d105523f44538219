"""REST API and web pages."""
