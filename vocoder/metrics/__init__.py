"""Metrics: pure functions ``f(reference, estimate, sample_rate)``, one file each.

Each takes two one-dimensional waveforms in [-1, 1] of one length and one rate, and states its
convention and source. They read no files and do not crop: `vocoder.evaluation` aligns lengths and
rates.
"""
