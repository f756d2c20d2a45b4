"""Networks in 16 bits beside signal processing in 32."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


def at_least_float32(values: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; wider values as they are.

    >>> at_least_float32(torch.ones(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


class SignalBuffers(nn.Module):
    """A module whose buffers stay in float32 where ``half()`` or ``to(torch.bfloat16)`` converts
    its weights: filterbanks, levels and frequencies in 16 bits would be audible."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            after = self._buffers[name]
            if buffer is not None and after is not None:
                # From the value before: one that went through 16 bits is rounded.
                precision = torch.promote_types(after.dtype, torch.float32)
                if after.dtype != precision:
                    self._buffers[name] = buffer.to(after.device, precision)
        return self
