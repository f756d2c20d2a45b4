"""Models: one paper, one file; a frozen configuration first, then the module."""
