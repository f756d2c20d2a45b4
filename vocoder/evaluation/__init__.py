"""Evaluation: score tables with confidence intervals, cost, and pictures."""
