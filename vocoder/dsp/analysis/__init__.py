"""Analysis: cepstra, linear prediction, spectra, noise reduction."""
