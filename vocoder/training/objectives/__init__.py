"""From a batch to named losses, one file per family; shared by training and validation."""
