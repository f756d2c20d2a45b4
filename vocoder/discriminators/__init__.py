"""Discriminators, one file each; every one returns scores and feature maps."""
