"""Metrics: pure functions ``f(reference, estimate, sample_rate)``, one file each.

Each takes two one-dimensional waveforms in [-1, 1] of one length and one rate, and states its
convention and source. They never touch files, never crop and never guess: aligning lengths and
rates is the evaluation's work.
"""
