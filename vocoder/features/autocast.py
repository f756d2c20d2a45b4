"""Arithmetic that mixed precision must not round."""

from contextlib import AbstractContextManager, nullcontext

import torch


def outside_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context without automatic mixed precision on a device.

    Empty where that is off, so that a graph exported for use does not mention it.

    >>> with torch.autocast("cpu"), outside_autocast(torch.device("cpu")):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
