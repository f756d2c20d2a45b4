"""Speech on disk: reading and writing audio, manifests, and the preparation of corpora."""
