"""Time-varying filters: FIR, all-pole, biquads, state-variable, adaptive, in the spectrum."""
