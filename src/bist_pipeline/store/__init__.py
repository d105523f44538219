"""Tables, engine, reads and writes of the database."""
