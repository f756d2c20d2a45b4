"""Blocks shared by models: convolutions, recurrences, padding, sampling, pitch prediction."""
