"""Listening tests: web pages for the participants, and the statistics of their answers."""
