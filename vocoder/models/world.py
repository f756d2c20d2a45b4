"""WORLD: F0 by Harvest, spectral envelope by CheapTrick, aperiodicity by D4C, and synthesis.

M. Morise, F. Yokomori and K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system
for real-time applications", IEICE Transactions E99-D(7), 2016, by its authors' code in pyworld.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.framing import fit_length
from vocoder.features.world import pyworld, require_world
from vocoder.models.base import check_f0_scale
from vocoder.models.waveform import WaveVocoder, checked_waveform

_HOP_MS = 5.0
_F0_MIN_HZ = 60.0
_F0_MAX_HZ = 500.0


@dataclass(frozen=True)
class World:
    """WORLD's parameters of a recording, for resynthesis with known changes.

    Attributes:
        sample_rate: in Hz.
        samples: length of the recording.
        f0_hz: every 5 ms, 0 where unvoiced, (frames,), by Harvest.
        spectrum: power spectral envelope by CheapTrick, (frames, bins).
        aperiodicity: by D4C, in [0, 1], (frames, bins).
    """

    sample_rate: int
    samples: int
    f0_hz: np.ndarray
    spectrum: np.ndarray
    aperiodicity: np.ndarray

    @classmethod
    def analyse(cls, waveform: Float[Tensor, " samples"], sample_rate: int) -> "World":
        """Harvest (60-500 Hz), CheapTrick and D4C every 5 ms.

        Raises:
            AudioError: the waveform is invalid.
            VocoderError: pyworld is not installed.
        """
        samples = checked_waveform(waveform).numpy()
        require_world("WORLD", "classical")
        world = pyworld()
        f0_hz, times_s = world.harvest(samples, sample_rate, _F0_MIN_HZ, _F0_MAX_HZ, _HOP_MS)
        return cls(
            sample_rate=sample_rate,
            samples=len(samples),
            f0_hz=f0_hz,
            spectrum=world.cheaptrick(samples, f0_hz, times_s, sample_rate),
            aperiodicity=world.d4c(samples, f0_hz, times_s, sample_rate),
        )

    def synthesise(
        self, cents: float = 0.0, coefficients: int | None = None
    ) -> Float[Tensor, " samples"]:
        """The waveform of these parameters.

        Args:
            cents: F0 is multiplied by 2^(cents / 1200).
            coefficients: smooth the spectral envelope to this number of mel-cepstral coefficients
                of WORLD's own coding; None for no smoothing.
        """
        world = pyworld()
        spectrum = self.spectrum
        if coefficients is not None:
            coded = world.code_spectral_envelope(spectrum, self.sample_rate, coefficients)
            n_fft = 2 * (spectrum.shape[1] - 1)
            spectrum = world.decode_spectral_envelope(coded, self.sample_rate, n_fft)
        waveform = world.synthesize(
            self.f0_hz * 2 ** (cents / 1200), spectrum, self.aperiodicity, self.sample_rate, _HOP_MS
        )
        return fit_length(torch.from_numpy(waveform).float()[None], self.samples)[0]


@dataclass(frozen=True)
class WorldVocoder(WaveVocoder):
    """WORLD's analysis and synthesis, at 16 kHz by default. Its noise is deterministic and has no
    seed.

    Raises:
        VocoderError: pyworld is not installed.
    """

    sample_rate: int = 16000

    def __post_init__(self) -> None:
        require_world("the vocoder WORLD", "classical")

    def resynthesise(
        self, waveform: Tensor, f0_scale: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Waveform (samples,) → F0, envelope, aperiodicity → waveform of the same length and type.

        Raises:
            OptionError: an ``f0_scale`` that is no factor.
        """
        check_f0_scale(f0_scale)
        analysed = World.analyse(waveform, self.sample_rate)
        return analysed.synthesise(cents=1200 * math.log2(f0_scale)).to(waveform.dtype)
