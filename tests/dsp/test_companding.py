"""Companding: levels and amplitudes, the standard's law, quantisation noise."""

import math

import pytest
import torch
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from vocoder.dsp.companding import (
    mu_law_compress,
    mu_law_decode,
    mu_law_encode,
    mu_law_expand,
    uniform_decode,
    uniform_encode,
)

LEVELS = pytest.mark.parametrize("levels", [256, 1024, 65536])


@LEVELS
@pytest.mark.parametrize(
    ("encode", "decode"),
    [(uniform_encode, uniform_decode), (mu_law_encode, mu_law_decode)],
    ids=["uniform", "mu_law"],
)
def test_every_level_survives(encode, decode, levels):
    symbols = torch.arange(levels)
    amplitudes = decode(symbols, levels)
    assert torch.equal(encode(amplitudes, levels), symbols)
    assert (amplitudes.diff() > 0).all()
    assert (float(amplitudes[0]), float(amplitudes[-1])) == (-1, 1)
    torch.testing.assert_close(amplitudes, -amplitudes.flip(0), atol=1e-6, rtol=0)


@LEVELS
def test_compression_follows_the_law_in_double_precision(levels):
    x = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    mu = levels - 1
    expected = [math.copysign(math.log(1 + mu * abs(v)) / math.log(1 + mu), v) for v in x.tolist()]
    compressed = mu_law_compress(x, levels)
    torch.testing.assert_close(compressed, torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(mu_law_expand(compressed, levels), x, atol=1e-12, rtol=0)


@LEVELS
def test_mu_law_is_that_of_torchaudio(levels):
    x = 2 * torch.rand(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    symbols = mu_law_encode(x, levels)
    assert torch.equal(symbols, mu_law_encoding(x, levels))
    expected = mu_law_decoding(symbols.double(), levels)
    torch.testing.assert_close(
        mu_law_decode(symbols, levels, torch.float64), expected, atol=1e-12, rtol=0
    )


@LEVELS
def test_a_uniform_level_is_the_nearest(levels):
    x = 2 * torch.rand(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    error = (uniform_decode(uniform_encode(x, levels), levels, torch.float64) - x).abs()
    # Half a step, and as errors are uniform within it, their mean is half of that.
    half = 1 / (levels - 1)
    assert error.max() <= half * (1 + 1e-9)
    assert float(error.mean()) == pytest.approx(half / 2, rel=0.03)


@pytest.mark.parametrize("level_db", [0, -20, -30])
def test_the_noise_of_256_levels_lies_38_db_below_speech_of_any_level(level_db):
    # Sinusoids; with uniform levels of 8 bits the last one would keep 20 dB.
    time = torch.arange(16_000, dtype=torch.float64)
    tone = 10 ** (level_db / 20) * torch.sin(0.1234567 * time)
    noise = mu_law_decode(mu_law_encode(tone), dtype=torch.float64) - tone
    ratio = 10 * torch.log10(tone.square().mean() / noise.square().mean())
    assert 35 < ratio < 40


@pytest.mark.parametrize("encode", [uniform_encode, mu_law_encode])
def test_what_is_too_loud_is_clipped(encode):
    assert encode(torch.tensor([-3.0, 1.5]), 256).tolist() == [0, 255]


def test_silence_is_the_level_just_above_zero():
    symbol = mu_law_encode(torch.zeros(1), 256)
    assert symbol.tolist() == [128]
    assert 0 < float(mu_law_decode(symbol, 256)) < 1e-4
