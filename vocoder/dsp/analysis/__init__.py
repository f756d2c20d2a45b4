"""From signals to descriptions: cepstra, linear prediction, spectra, noise reduction."""
