"""Signal processing as pure functions: tensors in, tensors out, no parameters and no state.

Phases are counted in cycles, frequencies in Hz, lengths in samples. What can stream returns the
state that the next call takes.
"""
