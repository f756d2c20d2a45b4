"""Adaptive filters with a target, and filters with known responses: error by order and
operations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from studies.filter_order.signals import FRAMES, HOP, Record, causal
from vocoder.dsp.filters.adaptive import affine_projection, macs_per_sample, nlms, rls
from vocoder.errors import VocoderError

START = FRAMES // 3 * HOP
"""Start of error measurement, after half a second of adaptation."""
PROJECTION_ORDER = 4
STEPS = {
    "NLMS": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "affine projection": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "RLS": (0.95, 0.97, 0.98, 0.99, 0.995, 0.998),
}
"""Step sizes, for RLS forgetting factors; the best on validation records is used."""
LARGEST = {"RLS": 128}
"""Largest order of RLS: its cost grows quadratically, and higher orders take minutes per record."""
FIT_STEPS, FIT_RATES = 200, (0.001, 0.003, 0.01, 0.03)


@dataclass(frozen=True)
class Point:
    """A system at an order.

    Attributes:
        setting: step size or forgetting factor.
        macs: multiplications per sample; None for offline computation.
        errors_db: energy of the error over that of the clean output, per record.
    """

    system: str
    name: str
    order: int
    setting: float | None
    macs: float | None
    errors_db: list[float]


def error_db(output: Tensor, clean: Tensor) -> Tensor:
    """Energy of the error over that of the clean output, in dB, from `START` on."""
    left = (output - clean)[:, START:].square().sum(dim=1)
    return 10 * torch.log10(left / clean[:, START:].square().sum(dim=1))


def follow(name: str, record: Record, order: int, settings: tuple[float, ...]) -> Tensor:
    """Errors (settings, batch) of an adaptive filter: of its output before each correction."""
    batch = len(record.signal)
    if name == "RLS":
        # In single precision the inverse matrix degenerates in the pauses of speech.
        signal, target = record.signal.double(), record.target.double()
        outputs = [rls(signal, target, order, setting, 1e-2).output for setting in settings]
        return torch.stack([error_db(output, record.clean) for output in outputs])
    # All step sizes in parallel: the loop over samples costs hardly more for more signals.
    step = torch.tensor(settings).repeat_interleave(batch)
    signal, target = (x.repeat(len(settings), 1) for x in (record.signal, record.target))
    if name == "NLMS":
        output = nlms(signal, target, order, step, 1e-3 * order).output
    else:
        output = affine_projection(
            signal, target, order, PROJECTION_ORDER, step, 1e-3 * order
        ).output
    return error_db(output, record.clean.repeat(len(settings), 1)).unflatten(0, (-1, batch))


def adaptive(name: str, system: str, valid: Record, test: Record, order: int) -> Point:
    """Step size by the mean error on validation records, errors on test records."""
    with torch.no_grad():
        tried = follow(name, valid, order, STEPS[name]).mean(dim=1)
        setting = STEPS[name][int(tried.nan_to_num(torch.inf).argmin())]
        errors = follow(name, test, order, (setting,))[0]
    if not bool(errors.isfinite().all()):
        raise VocoderError(f"{name}, {order} taps, {setting}: diverges on {system}")
    key = {"NLMS": "nlms", "affine projection": "affine_projection", "RLS": "rls"}[name]
    macs = macs_per_sample(key, order, PROJECTION_ORDER)  # type: ignore[arg-type]
    return Point(system, name, order, setting, macs, errors.tolist())


def truncated(system: str, test: Record, order: int) -> Point:
    """The true response at each frame, truncated and linearly interpolated; without lookahead."""
    output = causal(test.signal, test.responses[..., :order])
    errors = error_db(output, test.clean)
    return Point(system, "true response, cut off", order, None, None, errors.tolist())


def fitted(system: str, valid: Record, test: Record, order: int) -> Point:
    """Taps every 10 ms, linearly interpolated, fitted by Adam on the whole record including the
    future; step size from validation records. Since they could overfit the noise, they are
    evaluated on another record's signal, filtered by the fitted and by the true filters."""
    tried = {rate: float(_fit(valid, order, rate).mean()) for rate in FIT_RATES}
    rate = min(tried, key=lambda rate: tried[rate])
    errors = _fit(test, order, rate)
    return Point(system, "fitted offline, fresh input", order, rate, None, errors.tolist())


def _fit(record: Record, order: int, rate: float) -> Tensor:
    taps = torch.zeros(len(record.signal), FRAMES, order, requires_grad=True)
    optimizer = torch.optim.Adam([taps], lr=rate)
    for _ in range(FIT_STEPS):
        loss = (causal(record.signal, taps) - record.target).square().mean(dim=1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        fresh = record.signal.roll(1, dims=0)
        return error_db(causal(fresh, taps), causal(fresh, record.responses))
