"""Excitation: pulses, sinusoids, wavetables, glottal flow, noise; all band-limited."""
