"""Errors of filters with known true responses under single restrictions of the contest."""

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from studies.filter_order.contest import error_db
from studies.filter_order.learned import BINS, COEFFICIENTS
from studies.filter_order.signals import LONGEST, Record, causal
from studies.scripts import table
from vocoder.dsp.filters.fir import filter_frames_causal
from vocoder.dsp.filters.tap_shapes import dct_log_gain, minimum_phase_taps

ORDERS = (16, 64, 256, 1024)
LATE = 2
"""Frames: the centre of the network's input is 16 ms before the frame that it predicts."""


def bounds_table(records: dict[str, Record]) -> str:
    """Mean error in dB over the records of each system."""
    rows = [["filter", *(f"{system}: {order}" for system in records for order in ORDERS)]]
    for name, way in WAYS.items():
        means = [
            statistics.mean(error_db(way(record, order), record.clean).tolist())
            for record in records.values()
            for order in ORDERS
        ]
        rows.append([name, *(f"{mean:.1f}" for mean in means)])
    return table(rows)


def _on_lines(record: Record, order: int) -> Tensor:
    return causal(record.signal, record.responses[..., :order])


def _held(record: Record, order: int) -> Tensor:
    return filter_frames_causal(record.signal, record.responses[..., :order])[0]


def _late(record: Record, order: int) -> Tensor:
    return filter_frames_causal(record.signal, _delay(record.responses)[..., :order])[0]


def _smooth(record: Record, order: int) -> Tensor:
    taps = _smooth_minimum_phase(record.responses)
    return filter_frames_causal(record.signal, taps[..., :order])[0]


def _smooth_late(record: Record, order: int) -> Tensor:
    taps = _delay(_smooth_minimum_phase(record.responses))
    return filter_frames_causal(record.signal, taps[..., :order])[0]


def _fixed(record: Record, order: int) -> Tensor:
    mean = record.responses.mean(dim=1, keepdim=True).expand_as(record.responses)
    return filter_frames_causal(record.signal, mean[..., :order])[0]


def _delay(taps: Tensor) -> Tensor:
    return torch.cat([taps[:, :1].expand(-1, LATE, -1), taps[:, :-LATE]], dim=1)


def _smooth_minimum_phase(responses: Tensor) -> Tensor:
    """The part of a response that the network's output can represent."""
    log_gain = torch.log(torch.fft.rfft(responses, n=2 * (BINS - 1)).abs() + 1e-6)
    basis = dct_log_gain(torch.eye(COEFFICIENTS), BINS)
    return minimum_phase_taps(dct_log_gain(log_gain @ basis.T, BINS), LONGEST)


WAYS: dict[str, Callable[[Record, int], Tensor]] = {
    "true responses, lines between": _on_lines,
    "true, held for a frame": _held,
    "true, held, two frames late": _late,
    f"minimum phase of {COEFFICIENTS} DCT, held": _smooth,
    "the same, two frames late": _smooth_late,
    "one fixed filter, their mean": _fixed,
}
