"""Discriminators, one file each; all return scores and feature maps."""
