"""Reverberation is plain convolution, causal, however long and in whatever pieces; noise that dies
away does so as it was told, band by band."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt
from torch.autograd import gradcheck, gradgradcheck

from vocoder.dsp.rooms.reverb import (
    add_reverb,
    convolve_partitions,
    decaying_noise,
    fft_convolve,
    partition_response,
    split_bands,
)
from vocoder.dsp.sources.noise import white_noise


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("samples", "taps"), [(1, 1), (100, 7), (64, 64), (50, 300)])
def test_convolution_is_the_direct_one(samples, taps):
    signal, response = random(2, samples), random(taps, seed=1)
    found = fft_convolve(signal, response)
    for row in range(2):
        expected = np.convolve(signal[row], response)[:samples]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_nothing_is_heard_before_it_sounds():
    signal = torch.zeros(1, 400, dtype=torch.float64)
    signal[0, 150] = 1.0
    tail = random(200)
    wet = add_reverb(signal, tail)[0]
    assert wet[:150].abs().max() < 1e-12
    assert float(wet[150]) == pytest.approx(1)
    torch.testing.assert_close(wet[151:351], tail)
    assert wet[351:].abs().max() < 1e-12


def test_a_room_without_an_echo_leaves_the_signal_alone():
    signal = random(2, 100)
    torch.testing.assert_close(add_reverb(signal, torch.zeros(30).double()), signal)
    torch.testing.assert_close(add_reverb(signal, torch.zeros(0).double()), signal)


def test_gradients_and_dtypes():
    signal, tail = random(2, 12).requires_grad_(), random(5, seed=1).requires_grad_()
    assert gradcheck(add_reverb, (signal, tail))
    single = add_reverb(signal.detach().float(), tail.detach().float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(
        single.double(), add_reverb(signal, tail).detach(), atol=1e-5, rtol=0
    )


def test_each_signal_may_have_a_room_of_its_own():
    signal, responses = random(3, 70), random(3, 20, seed=1)
    found = fft_convolve(signal, responses)
    wet = add_reverb(signal, responses)
    by_block, _ = convolve_partitions(signal, partition_response(responses, 10))
    for row in range(3):
        alone = fft_convolve(signal[row : row + 1], responses[row])
        torch.testing.assert_close(found[row], alone[0])
        torch.testing.assert_close(by_block[row], alone[0])
        torch.testing.assert_close(wet[row], add_reverb(signal[row : row + 1], responses[row])[0])


@pytest.mark.parametrize("block", [1, 2, 16, 60])
def test_convolution_in_blocks_is_the_direct_one(block):
    for taps in [1, 15, 16, 17, 100, 400]:
        signal, response = random(2, 240), random(taps, seed=1)
        found, _ = convolve_partitions(signal, partition_response(response, block))
        for row in range(2):
            expected = np.convolve(signal[row], response)[:240]
            np.testing.assert_allclose(found[row], expected, atol=1e-11)


@pytest.mark.parametrize("pieces", [[1] * 15, [14, 1], [2, 5, 8], [15]])
def test_blocks_in_a_row_are_the_whole(pieces):
    signal, partitions = random(2, 240), partition_response(random(70, seed=1), 16)
    whole, end = convolve_partitions(signal, partitions)
    state, found = None, []
    for piece in signal.split([16 * count for count in pieces], dim=1):
        output, state = convolve_partitions(piece, partitions, state)
        found.append(output)
    torch.testing.assert_close(torch.cat(found, dim=1), whole)
    assert state is not None
    for last, expected in zip(state, end, strict=True):
        torch.testing.assert_close(last, expected)


def test_what_rings_on_comes_out_of_the_state():
    signal, response = random(1, 8), random(60, seed=1)
    partitions = partition_response(response, 8)
    _, state = convolve_partitions(signal, partitions)
    rest, state = convolve_partitions(torch.zeros(1, 64).double(), partitions, state)
    expected = np.convolve(signal[0], response)[8:]
    np.testing.assert_allclose(rest[0, : len(expected)], expected, atol=1e-12)
    after, _ = convolve_partitions(torch.zeros(1, 64).double(), partitions, state)
    assert after.abs().max() < 1e-12


def test_bands_add_up_to_the_signal():
    signal = random(2, 999)
    bands = split_bands(signal, [125.0, 500.0, 1000.0, 4000.0], 16000)
    assert bands.shape == (2, 4, 999)
    torch.testing.assert_close(bands.sum(dim=1), signal)


def test_a_centre_frequency_is_in_its_band_alone():
    centres = [250.0, 500.0, 1000.0, 4000.0]
    time = torch.arange(1600, dtype=torch.float64) / 16000
    for b, centre in enumerate(centres):
        tone = torch.cos(2 * torch.pi * centre * time)
        bands = split_bands(tone, centres, 16000)
        torch.testing.assert_close(bands[b], tone)
    # Half way between two in octaves half belongs to each.
    between = split_bands(torch.cos(2 * torch.pi * 2000 * time), centres, 16000)
    torch.testing.assert_close(between[2], between[3])
    # There are no neighbours beyond the ends.
    for frequency, band in ((50.0, 0), (7500.0, 3)):
        tone = torch.cos(2 * torch.pi * frequency * time)
        torch.testing.assert_close(split_bands(tone, centres, 16000)[band], tone)


def decay_seconds(tail: np.ndarray, rate: int) -> float:
    """From 5 to 35 dB below the beginning, by Schroeder's integral of what is left, times two."""
    left = np.cumsum(tail[::-1] ** 2)[::-1]
    decibels = 10 * np.log10(left / left[0])
    first, last = ((decibels > level).sum() for level in (-5, -35))
    return 2 * (last - first) / rate


def test_every_band_dies_away_in_its_time():
    rate, centres, times = 16000, [250.0, 1000.0, 4000.0], [1.2, 0.6, 0.3]
    noise = white_noise(1, 32000, torch.Generator().manual_seed(0))[0].double()
    bands = split_bands(noise, centres, rate)
    tail = decaying_noise(bands, torch.tensor(times).double(), torch.zeros(3).double(), rate)
    for centre, expected in zip(centres, times, strict=True):
        # An octave's third in the middle, where the neighbours are 40 dB and more below.
        edges = [centre * 2**-0.15, centre * 2**0.15]
        heard = sosfiltfilt(butter(4, edges, "bandpass", fs=rate, output="sos"), tail.numpy())
        assert decay_seconds(heard, rate) == pytest.approx(expected, rel=0.12)


def test_equal_bands_are_noise_with_one_decay():
    noise = random(8000)
    bands = split_bands(noise, [250.0, 1000.0, 4000.0], 16000)
    same = torch.full((3,), 0.4, dtype=torch.float64)
    tail = decaying_noise(bands, same, torch.full_like(same, -6.0), 16000)
    expected = noise * 10 ** (-6 / 20 - 3 * torch.arange(8000) / 6400)
    torch.testing.assert_close(tail, expected)
    assert decay_seconds(tail.numpy(), 16000) == pytest.approx(0.4, rel=0.05)


def test_one_noise_serves_many_rooms():
    bands = split_bands(random(300), [250.0, 1000.0], 4000)
    times = torch.tensor([[0.3, 0.1], [0.05, 0.2], [1.0, 1.0]], dtype=torch.float64)
    gains = torch.tensor([[0.0, -3.0], [6.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    tails = decaying_noise(bands, times, gains, 4000)
    for row in range(3):
        torch.testing.assert_close(tails[row], decaying_noise(bands, times[row], gains[row], 4000))


def test_gradients_of_blocks_and_decays():
    signal, response = random(2, 12).requires_grad_(), random(7, seed=1).requires_grad_()
    bands = split_bands(random(20, seed=2), [200.0, 800.0], 4000)
    times = torch.tensor([0.01, 0.004], dtype=torch.float64, requires_grad=True)
    gains = torch.tensor([-3.0, 2.0], dtype=torch.float64, requires_grad=True)

    def blocks(signal: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        partitions = partition_response(response, 4)
        first, state = convolve_partitions(signal[:, :4], partitions)
        return torch.cat([first, convolve_partitions(signal[:, 4:], partitions, state)[0]], dim=1)

    for check in (gradcheck, gradgradcheck):
        assert check(blocks, (signal, response))
        assert check(lambda t, g: decaying_noise(bands, t, g, 4000), (times, gains))
        assert check(lambda x: split_bands(x, [200.0, 800.0], 4000), signal)


def test_dtypes_of_blocks_and_decays():
    signal, response = random(1, 4800), random(2000, seed=1)
    bands = split_bands(response, [200.0, 800.0], 16000)
    times, gains = torch.tensor([0.3, 0.1]), torch.tensor([-3.0, 2.0])
    for exact, single in (
        (
            convolve_partitions(signal, partition_response(response, 160))[0],
            convolve_partitions(signal.float(), partition_response(response.float(), 160))[0],
        ),
        (bands, split_bands(response.float(), [200.0, 800.0], 16000)),
        (
            decaying_noise(bands, times.double(), gains.double(), 16000),
            decaying_noise(bands.float(), times, gains, 16000),
        ),
    ):
        assert single.dtype == torch.float32
        torch.testing.assert_close(
            single.double(), exact, atol=2e-6 * float(exact.abs().max()), rtol=0
        )


def test_misfits_are_refused():
    partitions = partition_response(torch.ones(5), 4)
    for samples in (0, 6):
        with pytest.raises(
            ValueError, match=f"{samples} samples are no multiple of the block of 4"
        ):
            convolve_partitions(torch.zeros(1, samples), partitions)
    with pytest.raises(ValueError, match="0 taps in blocks of 4"):
        partition_response(torch.ones(0), 4)
    for centres in ([], [0.0, 100.0], [200.0, 100.0]):
        with pytest.raises(ValueError, match="give some, above zero and rising"):
            split_bands(torch.zeros(8), centres, 8000)
    with pytest.raises(ValueError, match="a tail that dies within 0 s"):
        decaying_noise(torch.zeros(1, 8), torch.zeros(1), torch.zeros(1), 8000)
