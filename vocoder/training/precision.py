"""Whether a CPU gains from bfloat16.

Without instructions for it (AVX512-BF16 or AMX on x86), which many laptops lack, a convolution in
bfloat16 takes several times as long as in float32.
"""

import time
from functools import cache

import torch

SLOWER = 1.3
"""Ratio of times from which bfloat16 is advised against."""


@cache
def bfloat16_time_ratio(repeats: int = 3) -> float:
    """CPU time of a convolution, forward and backward, in bfloat16 over that in float32; of each
    the shortest of some repeats, measured once per process. Some 0.3 on CPUs with bfloat16, 4 on
    those with AVX2 alone."""
    weight = torch.zeros(128, 64, 3, requires_grad=True)  # no random numbers are drawn
    signal = torch.zeros(2, 64, 4000, requires_grad=True)
    shortest = []
    for enabled in (True, False):
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                torch.nn.functional.conv1d(signal, weight).float().sum().backward()
            seconds.append(time.process_time() - began)
        shortest.append(min(seconds))
    return shortest[0] / shortest[1]
