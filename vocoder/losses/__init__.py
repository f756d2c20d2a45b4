"""Training losses. They own no optimizer and draw no random numbers."""
