"""Training: objectives, the one loop, and checkpoints."""
