"""Listening tests: pages for the browser to make them, and the statistics of their answers."""
