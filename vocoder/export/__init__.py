"""Vocoders as files for other runtimes."""
