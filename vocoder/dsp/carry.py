"""One computation for signals in one piece and in many: what earlier pieces leave for the next.

Convolutions, windows and overlap-add need neighbours of a sample. Here these are kept by name from
piece to piece, so that the same code serves a whole signal and a stream, with a state of bounded
size. Time is axis 1 of every tensor.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import overlap_add


class Carry:
    """State of a computation in pieces: ``tensors``, by the name of each signal in it.

    An empty carry stands for the beginning, where a signal is extended to the left by what the
    caller chooses; with ``whole``, the first piece is also the last, and is extended to the right
    too. The first piece must be long enough for one window of each kind.

    >>> carry, x = Carry(), torch.arange(1.0, 7.0)[None]
    >>> pieces = [carry.span("x", piece, 3, 1).unfold(1, 3, 1).sum(2) for piece in x.split(3, 1)]
    >>> torch.cat(pieces, dim=1).tolist()
    [[6.0, 9.0, 12.0, 15.0]]
    """

    def __init__(self, tensors: dict[str, Tensor] | None = None, whole: bool = False) -> None:
        self.tensors: dict[str, Tensor] = {} if tensors is None else dict(tensors)
        self.whole = whole

    def begins(self, name: str) -> bool:
        """Whether nothing of this signal has been kept."""
        return name not in self.tensors

    def hold_ends(self, name: str, piece: Tensor, left: int, right: int) -> Tensor:
        """The first value repeated ``left`` times at the beginning, the last one ``right`` times at
        the end."""
        parts = [piece]
        if self.begins(name):
            parts.insert(0, piece[:, :1].expand(-1, left, *piece.shape[2:]))
        if self.whole:
            parts.append(piece[:, -1:].expand(-1, right, *piece.shape[2:]))
        return torch.cat(parts, dim=1) if len(parts) > 1 else piece

    def pad_ends(
        self, name: str, piece: Tensor, left: int, right: int, mode: str = "constant"
    ) -> Tensor:
        """(batch, samples) with ``left`` zeros at the beginning and ``right`` at the end, or, with
        the mode "reflect", as many samples reflected."""
        left, right = left if self.begins(name) else 0, right if self.whole else 0
        return pad(piece[:, None], (left, right), mode)[:, 0] if left or right else piece

    def span(self, name: str, piece: Tensor, size: int, hop_length: int) -> Tensor:
        """What was kept, followed by the piece, as far as whole windows of ``size`` reach; their
        overlap with the next window is kept.

        ``span(...).unfold(1, size, hop_length)`` are the windows.
        """
        joined = self._join(name, piece)
        windows = (joined.shape[1] - size) // hop_length + 1
        self.tensors[name] = joined[:, windows * hop_length :]
        return joined[:, : (windows - 1) * hop_length + size]

    def take(self, name: str, piece: Tensor, count: int, context: int = 0) -> Tensor:
        """First in, first out: ``count`` values that leave the queue and the ``context`` after
        them."""
        joined = self._join(name, piece)
        self.tensors[name] = joined[:, count:]
        return joined[:, : count + context]

    def overlap_add(self, name: str, frames: Tensor, hop_length: int, lead: int = 0) -> Tensor:
        """:func:`vocoder.dsp.framing.overlap_add` of (batch, frames, window), as far as no later
        frame adds to it; without the first ``lead`` samples of all. The rest is kept."""
        surplus = -frames.shape[2] % hop_length
        total = overlap_add(pad(frames, (0, surplus)) if surplus else frames, hop_length)
        complete = frames.shape[1] * hop_length
        first = self.begins(name)
        if not first:
            total = total + pad(self.tensors[name], (0, complete))
        self.tensors[name] = total[:, complete:]
        return total[:, lead if first else 0 : complete]

    def _join(self, name: str, piece: Tensor) -> Tensor:
        past = self.tensors.get(name)
        return piece if past is None else torch.cat([past, piece], dim=1)
