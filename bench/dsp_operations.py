"""The operations whose cost `bench.dsp` measures, with their sizes and inputs."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vocoder.dsp import companding, framing
from vocoder.dsp.analysis import cepstrum, enhancement, homomorphic, inverse_stft, prediction
from vocoder.dsp.filters import (
    adaptive,
    allpole,
    biquad,
    emphasis,
    fir,
    lattice,
    pole_mixing,
    spectral_filter,
    state_variable,
    tap_shapes,
)
from vocoder.dsp.rooms import reverb, shoebox
from vocoder.dsp.sources import glottal, noise, oscillators, sinusoids, wavetable

RATE, HOP, BATCH = 16000, 80, 8
FRAMES = RATE // HOP


class Operation(NamedTuple):
    """A row of the table.

    Attributes:
        name: module and function.
        what: sizes.
        call: function of the inputs.
        inputs: tensors with gradients, if any.
        seconds: of audio per call, all signals together.
    """

    name: str
    what: str
    call: Callable[..., object]
    inputs: tuple[Tensor, ...]
    seconds: float = BATCH
    differentiable: bool = True


# -- inputs --------------------------------------------------------------------------------------


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers with a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def between(low: float, high: float, *shape: int, seed: int = 0) -> Tensor:
    """Uniform numbers with a fixed seed."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator)


def voice() -> tuple[Tensor, Tensor]:
    """Phase and F0 (Hz) of every sample of eight voices around 150 Hz."""
    f0 = 150 * torch.exp2(0.1 * normal(BATCH, FRAMES + 1))
    start = oscillators.boundary_phase(f0, RATE, HOP)
    phase = oscillators.sample_phase(start, f0, RATE, HOP)
    return phase, framing.interpolate_linear(f0, HOP)


def predictors(order: int) -> Tensor:
    """Coefficients of stable filters, one per frame."""
    frames = normal(BATCH, FRAMES, 10 * order)
    return allpole.levinson_durbin(allpole.autocorrelation(frames, order))[0]


# -- the table -----------------------------------------------------------------------------------


def operations() -> list[Operation]:
    """All measured operations, in the order of docs/dsp.md."""
    return [*sources(), *finite(), *recursive(), *conversions(), *space(), *classical(), *tools()]


def sources() -> list[Operation]:
    """Oscillators and noise."""
    phase, f0_hz = voice()
    boundaries = 150 * torch.exp2(0.1 * normal(BATCH, FRAMES + 1))
    levels = wavetable.wavetable_levels(normal(4, 512))
    mixture = torch.softmax(normal(BATCH, FRAMES + 1, 4), dim=2)
    generator = torch.Generator().manual_seed(0)

    def advance(f0: Tensor) -> Tensor:
        start = oscillators.boundary_phase(f0, RATE, HOP)
        return oscillators.sample_phase(start, f0, RATE, HOP)

    return [
        Operation("oscillators.sample_phase", "and `boundary_phase`", advance, (boundaries,)),
        Operation(
            "oscillators.pulse_train",
            "any number of harmonics",
            lambda phase: oscillators.pulse_train(phase, f0_hz, RATE),
            (phase,),
        ),
        Operation(
            "oscillators.harmonic_bank",
            "50 harmonics",
            lambda phase, a: oscillators.harmonic_bank(phase, f0_hz, a, RATE),
            (phase, normal(BATCH, FRAMES + 1, 50)),
        ),
        Operation(
            "glottal.lf_source",
            "Rd for each frame",
            lambda phase, rd: glottal.lf_source(phase, f0_hz, rd, RATE),
            (phase, between(0.5, 2.5, BATCH, FRAMES + 1)),
        ),
        Operation(
            "wavetable.wavetable",
            "4 tables of 512",
            lambda phase, mix: wavetable.wavetable(phase, f0_hz, levels, mix, RATE),
            (phase, mixture),
        ),
        Operation(
            "sinusoids.sinusoids",
            "20 sinusoids",
            lambda a, f: sinusoids.sinusoids(a, f, RATE, HOP),
            (between(0, 1, BATCH, FRAMES + 1, 20), between(100, 7000, BATCH, FRAMES + 1, 20)),
        ),
        Operation(
            "noise.white_noise",
            "",
            lambda: noise.white_noise(BATCH, RATE, generator),
            (),
            differentiable=False,
        ),
        Operation(
            "noise.pulse_modulation",
            "",
            noise.pulse_modulation,
            (phase, 0.5 * torch.ones_like(phase), 0.5 * torch.ones_like(phase)),
        ),
    ]


def finite() -> list[Operation]:
    """Filters of finite length, changing with every frame."""
    x, log_gain = normal(BATCH, RATE), 0.3 * normal(BATCH, FRAMES, 129)
    taps = 0.1 * normal(BATCH, FRAMES, 161)
    return [
        Operation(
            "tap_shapes.grid_log_gain",
            "30 points, 129 bins",
            lambda v: tap_shapes.grid_log_gain(v, 129),
            (normal(BATCH, FRAMES, 30),),
        ),
        Operation("fir.frequency_sampled_fir", "256 taps", fir.frequency_sampled_fir, (log_gain,)),
        Operation("fir.filter_frames", "161 taps", fir.filter_frames, (x, taps)),
        Operation("fir.filter_frames_causal", "161 taps", fir.filter_frames_causal, (x, taps)),
        Operation("fir.filter_interpolated", "161 taps", fir.filter_interpolated, (x, taps)),
        Operation(
            "fir.filter_samples",
            "33 taps for each sample",
            fir.filter_samples,
            (x, 0.1 * normal(BATCH, RATE, 33)),
        ),
        Operation(
            "fir.sinc_low_pass",
            "31 taps for each sample",
            lambda cutoff: fir.sinc_low_pass(cutoff, 31),
            (between(0.1, 0.9, BATCH, RATE),),
        ),
        Operation(
            "tap_shapes.linear_phase_taps",
            "161 taps",
            lambda g: tap_shapes.linear_phase_taps(g, 161),
            (log_gain,),
        ),
        Operation(
            "tap_shapes.minimum_phase_taps",
            "161 taps",
            lambda g: tap_shapes.minimum_phase_taps(g, 161),
            (log_gain,),
        ),
        Operation(
            "tap_shapes.mixed_phase_taps",
            "161 taps, 30 coefficients a side",
            lambda c, a: tap_shapes.mixed_phase_taps(c, a, 161, 512),
            (0.1 * normal(BATCH, FRAMES, 30), 0.1 * normal(BATCH, FRAMES, 30, seed=1)),
        ),
        Operation(
            "tap_shapes.dct_log_gain",
            "30 coefficients, 129 bins",
            lambda c: tap_shapes.dct_log_gain(c, 129),
            (normal(BATCH, FRAMES, 30),),
        ),
        Operation(
            "tap_shapes.mel_cepstrum_log_gain",
            "25 coefficients, 129 bins",
            lambda c: tap_shapes.mel_cepstrum_log_gain(c, 129, 0.42),
            (normal(BATCH, FRAMES, 25),),
        ),
        Operation("cepstrum.minimum_phase", "129 bins", cepstrum.minimum_phase, (log_gain,)),
        Operation(
            "spectral_filter.time_varying_filter",
            "320 bins, complex",
            spectral_filter.time_varying_filter,
            (x, normal(BATCH, FRAMES, 321), normal(BATCH, FRAMES, 321, seed=1)),
        ),
        Operation(
            "inverse_stft.inverse_stft",
            "1024, hop 256",
            lambda re, im: inverse_stft.inverse_stft(torch.complex(re, im), 256, "same"),
            (normal(BATCH, 63, 513), normal(BATCH, 63, 513, seed=1)),
        ),
    ]


def recursive() -> list[Operation]:
    """Recursive filters; all except the frame-wise ones change at every sample."""
    x, held = normal(BATCH, RATE), predictors(22)
    moving = held.repeat_interleave(HOP, dim=1)
    cutoff, q = between(200, 4000, BATCH, RATE), between(0.5, 5, BATCH, RATE)
    sections = biquad.design_biquad(
        "peak",
        between(200, 4000, BATCH, RATE, 4),
        between(0.5, 4, BATCH, RATE, 4),
        RATE,
        6 * torch.ones(BATCH, RATE, 4),
    )
    mix = torch.tensor(pole_mixing.MIXES["low_pass_24"]).repeat(BATCH, RATE, 1)
    spectra = prediction.line_spectra_from_predictor(held)
    return [
        Operation(
            "allpole.interpolated_predictor",
            "order 22, from line spectra",
            lambda w: allpole.interpolated_predictor(w, HOP, "line_spectra"),
            (framing.hold_ends(spectra, 0, 1),),
        ),
        Operation("allpole.all_pole", "order 22, held for a frame", allpole.all_pole, (x, held)),
        Operation(
            "allpole.all_pole_overlapped",
            "order 22, frame-wise",
            lambda x, a: allpole.all_pole_overlapped(x, a, 8 * HOP),
            (x, held),
        ),
        Operation("allpole.all_pole_samples", "order 22", allpole.all_pole_samples, (x, moving)),
        Operation(
            "lattice.all_pole_lattice",
            "order 8",
            lattice.all_pole_lattice,
            (x, between(-0.9, 0.9, BATCH, RATE, 8)),
        ),
        Operation("biquad.biquad_cascade", "4 sections", biquad.biquad_cascade, (x, sections)),
        Operation(
            "biquad.biquad_cascade",
            "4 sections, `state_variable`",
            lambda x, c: biquad.biquad_cascade(x, c, form="state_variable"),
            (x, sections),
        ),
        Operation(
            "state_variable.state_variable_filter",
            "",
            lambda x, f, q: state_variable.state_variable_filter(x, f, q, RATE, "low"),
            (x, cutoff, q),
        ),
        Operation(
            "pole_mixing.four_pole",
            "",
            lambda x, f, r, g: pole_mixing.four_pole(x, f, r, g, RATE),
            (x, cutoff, between(0, 2.8, BATCH, RATE), mix),
        ),
    ]


def conversions() -> list[Operation]:
    """Conversions between descriptions of an all-pole filter of order 22, one per frame."""
    predictor = predictors(22)
    gain = torch.ones(BATCH, FRAMES)
    reflection = prediction.reflection_from_predictor(predictor)
    spectra = prediction.line_spectra_from_predictor(predictor)
    ceps = prediction.cepstrum_from_predictor(predictor, gain, 40)
    frames = normal(BATCH, FRAMES, 480)
    lags = allpole.autocorrelation(frames, 22)
    of = "order 22, a frame each"
    return [
        Operation(
            "allpole.autocorrelation",
            "22 lags of 480 samples",
            lambda frames: allpole.autocorrelation(frames, 22),
            (frames,),
        ),
        Operation("allpole.levinson_durbin", of, allpole.levinson_durbin, (lags,)),
        Operation(
            "prediction.predictor_from_reflection",
            of,
            prediction.predictor_from_reflection,
            (reflection,),
        ),
        Operation(
            "prediction.reflection_from_predictor",
            of,
            prediction.reflection_from_predictor,
            (predictor,),
        ),
        Operation(
            "prediction.autocorrelation_from_reflection",
            of,
            prediction.autocorrelation_from_reflection,
            (reflection, gain),
        ),
        Operation(
            "prediction.line_spectra_from_predictor",
            of,
            prediction.line_spectra_from_predictor,
            (predictor,),
        ),
        Operation(
            "prediction.predictor_from_line_spectra",
            of,
            prediction.predictor_from_line_spectra,
            (spectra,),
        ),
        Operation(
            "prediction.cepstrum_from_predictor",
            "order 22, 40 coefficients",
            lambda a, g: prediction.cepstrum_from_predictor(a, g, 40),
            (predictor, gain),
        ),
        Operation(
            "prediction.expand_bandwidth",
            of,
            lambda a: prediction.expand_bandwidth(a, 50.0, RATE),
            (predictor,),
        ),
        Operation(
            "prediction.predictor_from_cepstrum",
            "order 22, 40 coefficients",
            lambda c: prediction.predictor_from_cepstrum(c, 22),
            (ceps,),
        ),
    ]


def space() -> list[Operation]:
    """Rooms."""
    x, response = normal(BATCH, RATE), 0.1 * normal(RATE // 2)
    parts = reverb.partition_response(response, 512)
    room = torch.tensor([[6.0, 5.0, 3.0]])
    source, microphone = torch.tensor([[1.5, 2.0, 1.5]]), torch.tensor([[4.0, 3.0, 1.2]])
    walls = torch.full((1, 3, 2), 0.3)
    bands = reverb.split_bands(normal(RATE // 2), [250.0, 500.0, 1000.0, 2000.0, 4000.0], RATE)
    return [
        Operation("reverb.fft_convolve", "room of 0.5 s", reverb.fft_convolve, (x, response)),
        Operation(
            "reverb.convolve_partitions",
            "room of 0.5 s, blocks of 512",
            lambda x: reverb.convolve_partitions(x[:, : 31 * 512], parts),
            (x,),
            BATCH * 31 * 512 / RATE,
        ),
        Operation(
            "reverb.decaying_noise",
            "a tail of 0.5 s, 5 bands",
            lambda t60, gain: reverb.decaying_noise(bands, t60, gain, RATE),
            (torch.full((5,), 0.4), torch.zeros(5)),
            0.5,
        ),
        Operation(
            "shoebox.room_response",
            "0.25 s, 10 reflections",
            lambda s, m, a: shoebox.room_response(room, s, m, a, RATE, RATE // 4, 10),
            (source, microphone, walls),
            0.25,
        ),
    ]


def classical() -> list[Operation]:
    """Adaptive filters, loops over samples; cepstra and noise reduction."""
    x = normal(BATCH, RATE)
    target = reverb.fft_convolve(x, 0.1 * normal(64))
    short, rest = x[:, :500], target[:, :500]
    seconds = BATCH * 500 / RATE
    ways: list[tuple[str, str, Callable[..., object]]] = [
        ("adaptive.lms", "64 taps", lambda x, d: adaptive.lms(x, d, 64, 0.002)),
        ("adaptive.nlms", "64 taps", lambda x, d: adaptive.nlms(x, d, 64, 0.5)),
        (
            "adaptive.affine_projection",
            "64 taps, order 4",
            lambda x, d: adaptive.affine_projection(x, d, 64, 4, 0.5),
        ),
        ("adaptive.rls", "64 taps", lambda x, d: adaptive.rls(x, d, 64)),
    ]
    frames, of = normal(40, 400), "frames of 400, FFT of 4096"
    spoken = 40 * 400 / RATE
    return [
        *(Operation(*way, (short, rest), seconds) for way in ways),
        Operation(
            "homomorphic.complex_cepstrum",
            of,
            lambda x: homomorphic.complex_cepstrum(x, 4096),
            (frames,),
            spoken,
        ),
        Operation(
            "homomorphic.power_cepstrum",
            of,
            lambda x: homomorphic.power_cepstrum(x, 4096),
            (frames,),
            spoken,
        ),
        Operation(
            "homomorphic.deconvolve",
            of,
            lambda x: homomorphic.deconvolve(x, 4096, 40),
            (frames,),
            spoken,
        ),
        Operation(
            "enhancement.spectral_subtraction",
            "320, hop 80",
            lambda x: enhancement.spectral_subtraction(x, 320, HOP),
            (x,),
        ),
        Operation(
            "enhancement.wiener_filter",
            "320, hop 80",
            lambda x: enhancement.wiener_filter(x, 320, HOP),
            (x,),
        ),
    ]


def tools() -> list[Operation]:
    """Conversions between frames and samples, and small functions."""
    x, boundaries = 0.1 * normal(BATCH, RATE), normal(BATCH, FRAMES + 1)
    ways = [framing.interpolate_linear, framing.interpolate_cubic, framing.interpolate_windows]
    return [
        Operation(
            "framing.interpolate_hold",
            "",
            lambda v: framing.interpolate_hold(v, HOP),
            (boundaries[:, 1:],),
        ),
        *(
            Operation(f"framing.{way.__name__}", "", lambda b, way=way: way(b, HOP), (boundaries,))
            for way in ways
        ),
        Operation("emphasis.pre_emphasis", "", lambda x: emphasis.pre_emphasis(x, 0.97), (x,)),
        Operation("emphasis.de_emphasis", "", lambda x: emphasis.de_emphasis(x, 0.97), (x,)),
        Operation("companding.mu_law_compress", "", companding.mu_law_compress, (x,)),
        Operation("companding.mu_law_expand", "", companding.mu_law_expand, (x,)),
        Operation(
            "companding.mu_law_encode", "", companding.mu_law_encode, (x,), differentiable=False
        ),
    ]
