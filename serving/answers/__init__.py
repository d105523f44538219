"""What the API answers: every field with its unit and an example."""
