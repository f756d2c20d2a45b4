"""Where the filters' windows stand within mel frames."""

from typing import NamedTuple

from vocoder.dsp.filters.spectral_filter import ONE_PER_HOP, Offsets
from vocoder.errors import MelError


class Windows(NamedTuple):
    """Windows of ``n_fft`` samples, the first ``lead`` samples before the signal.

    ``hop``: samples between two of them, or, with several ``offsets``, between groups of windows
    that begin so many samples after the first of the group. ``held_before``: windows before the
    first filter, which hold it. ``hops_after``: hops whose windows reach beyond the signal's end.
    """

    n_fft: int
    hop: int
    offsets: Offsets
    lead: int
    held_before: int
    hops_after: int

    @classmethod
    def of(cls, hop_length: int, steps_per_frame: int, window_steps: int) -> "Windows":
        """``steps_per_frame`` windows per mel frame, each ``window_steps`` steps long.

        Where the steps do not divide the hop, the windows of a frame make a group and stand at
        whole samples: those of any one step add up to a constant by themselves, so that their
        distance from the others does not matter.

        >>> Windows.of(256, 2, 4)
        Windows(n_fft=512, hop=128, offsets=(0,), lead=384, held_before=1, hops_after=3)
        >>> Windows.of(275, 2, 4)
        Windows(n_fft=550, hop=275, offsets=(0, 137), lead=412, held_before=1, hops_after=2)

        Raises:
            MelError: the steps do not divide the hop, nor half the window.
        """
        hop, rest = divmod(hop_length, steps_per_frame)
        n_fft, offsets = window_steps * hop, ONE_PER_HOP
        if rest:
            n_fft, hop = window_steps * hop_length // steps_per_frame, hop_length
            before_frame = [step * hop // steps_per_frame for step in range(steps_per_frame)][::-1]
            offsets = tuple(before_frame[0] - samples for samples in before_frame)
            if window_steps % (2 * steps_per_frame):
                raise MelError(
                    f"hop_length {hop} is no multiple of the model's steps_per_frame, "
                    f"{steps_per_frame}: it does not serve this mel; use another hop, or train a "
                    "model with another number of steps"
                )
        return cls(
            n_fft,
            hop,
            offsets,
            lead=n_fft - hop + offsets[-1],
            held_before=window_steps // 2 - 1,
            hops_after=-(-(window_steps - 1) // len(offsets)),
        )

    @property
    def held_after(self) -> int:
        """Windows after the last filter, which hold it."""
        return self.hops_after * len(self.offsets) - self.held_before

    @property
    def surplus(self) -> int:
        """Samples after the signal's end that all windows together complete."""
        return self.hops_after * self.hop - self.lead
