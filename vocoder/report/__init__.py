"""The report of an evaluation: one HTML page with scores, plots and players."""
