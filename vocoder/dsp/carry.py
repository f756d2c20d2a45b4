"""One computation for signals in one piece and in many: what earlier pieces leave for the next.

Convolutions, windows and overlap-add need neighbours of a sample. Here these are kept by name from
piece to piece, so that the same code serves a whole signal and a stream, with a state of bounded
size. Time is axis 1 of every tensor.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import hold_ends, overlap_add


class Grid(NamedTuple):
    """Windows in samples: their hop, their size, and how much of the first one lies before the
    signal."""

    hop: int
    size: int
    lead: int


class DualWindow(NamedTuple):
    """A window w at the places of a grid, and what inverts it.

    ``dual``: w divided by the sum of w² of all windows over a sample; ``start``: factors for the
    first samples of a signal, which fewer windows cover.
    """

    grid: Grid
    window: Float[Tensor, " size"]
    dual: Float[Tensor, " size"]
    start: Float[Tensor, " first"]

    @classmethod
    def of(cls, window: Float[Tensor, " size"], grid: Grid) -> "DualWindow":
        """From w and its places.

        >>> pair = DualWindow.of(torch.hann_window(8), Grid(2, 8, 4))
        >>> (pair.window * pair.dual).view(4, 2).sum(0).tolist()
        [1.0, 1.0]
        """
        hop, size, _ = grid
        overlap = -(-size // hop)
        dual = window / _coverage(window, hop).repeat(overlap)[:size]
        return cls(grid, window, dual, _edge_factors(window, grid, size, 2 * overlap))

    def to(self, device: torch.device, dtype: torch.dtype) -> "DualWindow":
        """The same on a device and in a precision."""
        return DualWindow(self.grid, *(part.to(device, dtype) for part in self[1:]))

    def correction(self, samples: int) -> Float[Tensor, " samples"]:
        """Factors for the first and last samples of a whole signal."""
        return _edge_factors(self.window, self.grid, samples, samples // self.grid.hop)


def _coverage(window: Float[Tensor, " size"], hop: int) -> Float[Tensor, " hop"]:
    """Sum of w² over all windows."""
    return pad(window.square(), (0, -len(window) % hop)).view(-1, hop).sum(0)


def _edge_factors(
    window: Float[Tensor, " size"], grid: Grid, samples: int, windows: int
) -> Float[Tensor, " samples"]:
    """Sum of w² over all windows, divided by that over the ``windows`` there are; bounded where
    they hardly cover a sample."""
    hop, size, lead = grid
    squares = pad(window.square(), (0, -size % hop)).expand(1, windows, -1)
    covered = overlap_add(squares, hop)[0, lead : lead + samples].clamp(min=1e-4)
    full = _coverage(window, hop).roll(-lead).repeat(-(-samples // hop))
    return full[:samples] / covered


class Carry:
    """State of a computation in pieces: ``tensors``, by the name of each signal in it.

    An empty carry stands for the beginning, where a signal is extended to the left by what the
    caller chooses. ``ends`` is set before the last piece, which is extended to the right;
    with ``whole`` the first piece is also the last. The first piece must be long enough for one
    window of each kind.

    >>> carry, x = Carry(), torch.arange(1.0, 7.0)[None]
    >>> pieces = [carry.span("x", piece, 3, 1).unfold(1, 3, 1).sum(2) for piece in x.split(3, 1)]
    >>> torch.cat(pieces, dim=1).tolist()
    [[6.0, 9.0, 12.0, 15.0]]
    """

    def __init__(self, tensors: dict[str, Tensor] | None = None, whole: bool = False) -> None:
        self.tensors: dict[str, Tensor] = {} if tensors is None else dict(tensors)
        self.whole = self.ends = whole
        self._prefix = ""
        self._corrections: dict[Grid, Tensor] = {}

    def within(self, part: str) -> "Carry":
        """The carry of one part of the computation: its signals are kept here, behind its name, so
        that parts of the same form do not meet.

        >>> carry = Carry()
        >>> carry.within("first").keep("x", torch.zeros(1, 2))
        >>> list(carry.tensors)
        ['first x']
        """
        carry = Carry(whole=self.whole)
        carry.ends = self.ends
        carry.tensors, carry._prefix = self.tensors, f"{self._prefix}{part} "
        carry._corrections = self._corrections
        return carry

    def begins(self, name: str) -> bool:
        """Whether nothing of this signal has been kept."""
        return self.kept(name) is None

    def keep(self, name: str, value: Tensor) -> None:
        """Keep a value for the next piece."""
        self.tensors[self._prefix + name] = value

    def kept(self, name: str) -> Tensor | None:
        """What was kept of this signal, if anything."""
        return self.tensors.get(self._prefix + name)

    def hold_ends(self, name: str, piece: Tensor, left: int, right: int) -> Tensor:
        """The first value repeated ``left`` times at the beginning, the last one ``right`` times at
        the end."""
        left, right = left if self.begins(name) else 0, right if self.ends else 0
        return hold_ends(piece, left, right) if left or right else piece

    def pad_ends(
        self, name: str, piece: Tensor, left: int, right: int, mode: str = "constant"
    ) -> Tensor:
        """(batch, samples) with ``left`` zeros at the beginning and ``right`` at the end, or, with
        the mode "reflect", as many samples reflected."""
        left, right = left if self.begins(name) else 0, right if self.ends else 0
        return pad(piece[:, None], (left, right), mode)[:, 0] if left or right else piece

    def span(self, name: str, piece: Tensor, size: int, hop_length: int) -> Tensor:
        """What was kept, followed by the piece, as far as whole windows of ``size`` reach; their
        overlap with the next window is kept.

        ``span(...).unfold(1, size, hop_length)`` are the windows.
        """
        joined = self._join(name, piece)
        windows = (joined.shape[1] - size) // hop_length + 1
        self.keep(name, joined[:, windows * hop_length :])
        return joined[:, : (windows - 1) * hop_length + size]

    def take(self, name: str, piece: Tensor, count: int, context: int = 0) -> Tensor:
        """First in, first out: ``count`` values that leave the queue and the ``context`` after
        them."""
        joined = self._join(name, piece)
        self.keep(name, joined[:, count:])
        return joined[:, : count + context]

    def overlap_add(self, name: str, frames: Tensor, hop_length: int, lead: int = 0) -> Tensor:
        """:func:`vocoder.dsp.framing.overlap_add` of (batch, frames, window), as far as no later
        frame adds to it; without the first ``lead`` samples of all. The rest is kept."""
        total = _overlap_add(frames, hop_length)
        complete = frames.shape[1] * hop_length
        kept = self.kept(name)
        if kept is not None:
            reached = kept.shape[1]
            total = torch.cat([total[:, :reached] + kept, total[:, reached:]], dim=1)
        self.keep(name, total[:, complete:])
        return total[:, lead if kept is None else 0 : complete]

    def windows(
        self, name: str, waveform: Float[Tensor, "batch samples"], grid: Grid
    ) -> Float[Tensor, "batch frames size"]:
        """The signal cut into windows, zeros before and after it."""
        hop, size, lead = grid
        padded = self.pad_ends(name, waveform, lead, size - hop - lead)
        return self.span(name, padded, size, hop).unfold(1, size, hop)

    def least_squares(
        self, name: str, frames: Float[Tensor, "batch frames size"], window: "DualWindow"
    ) -> Float[Tensor, "batch samples"]:
        """Inverse of windowing, Σ w frame / Σ w², from frames times ``window.dual``
        (Griffin and Lim 1984, eq. 6)."""
        hop, _, lead = window.grid
        if self.whole:
            samples = frames.shape[1] * hop
            total = _overlap_add(frames, hop)[:, lead : lead + samples]
            # Both ends in one step: in a short signal they overlap.
            return total * self._correction(window, samples)
        factors = window.start[None] if self.begins(name) else self.kept(f"{name} start")
        total = self.overlap_add(name, frames, hop, lead)
        if self.ends:
            total = torch.cat([total, self.tensors[self._prefix + name][:, :lead]], dim=1)
        if factors is None:
            return total
        count = min(factors.shape[1], total.shape[1])
        if count < factors.shape[1]:  # a first piece of few windows
            self.keep(f"{name} start", factors[:, count:])
        else:
            self.tensors.pop(f"{self._prefix}{name} start", None)
        return torch.cat([total[:, :count] * factors[:, :count], total[:, count:]], dim=1)

    def _correction(self, window: "DualWindow", samples: int) -> Tensor:
        """`DualWindow.correction`, once for all passes over a whole signal: those at one grid have
        one window and as many samples."""
        if window.grid not in self._corrections:
            self._corrections[window.grid] = window.correction(samples)
        return self._corrections[window.grid]

    def _join(self, name: str, piece: Tensor) -> Tensor:
        past = self.kept(name)
        return piece if past is None else torch.cat([past, piece], dim=1)


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """As :func:`vocoder.dsp.framing.overlap_add`, of windows of any size."""
    surplus = -frames.shape[2] % hop_length
    return overlap_add(pad(frames, (0, surplus)) if surplus else frames, hop_length)
