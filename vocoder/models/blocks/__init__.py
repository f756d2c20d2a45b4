"""What several models share: convolutions, recurrences, padding, sampling, pitch prediction."""
