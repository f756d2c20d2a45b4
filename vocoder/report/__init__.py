"""The report of an evaluation: one HTML page to read, look at and listen to."""
