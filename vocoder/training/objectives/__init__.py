"""From a batch to named losses, one file a family; the same code serves training and validation."""
