"""The study `iir_or_fir`: filters match their specification, and errors match theory."""

import math

import pytest
import torch

from studies.iir_or_fir import departure, fitting
from studies.iir_or_fir.all_pole import AllPole
from studies.iir_or_fir.families import FAMILIES
from studies.iir_or_fir.family import HOP, Family
from studies.iir_or_fir.finite import LinearPhase
from studies.iir_or_fir.tables import fits_table, targets_table
from vocoder.dsp.filters.allpole import all_pole
from vocoder.dsp.sources.noise import white_noise

MEMBERS = [family(family.sizes[1]) for family in FAMILIES]


@pytest.mark.parametrize("family", MEMBERS, ids=lambda family: family.name)
def test_a_filter_that_stays_sounds_as_its_response_says(family: Family):
    generator = torch.Generator().manual_seed(0)
    start = family.start()
    numbers = start + 0.3 * torch.randn(len(start), generator=generator, dtype=start.dtype)
    samples, middle = 50 * HOP, 25 * HOP if isinstance(family, LinearPhase) else 0
    pulse = torch.zeros(1, samples, dtype=start.dtype)
    pulse[0, middle] = 1
    boundaries = numbers.expand(1, 51, -1)
    gain = torch.fft.rfft(family.samples(pulse, boundaries)[0]).abs()
    expected = family.response(numbers, samples).abs()
    assert torch.allclose(gain, expected, atol=1e-7 * float(expected.max()))
    # By frames it is the same but for what wraps around in a transform of four hops.
    noise = white_noise(1, samples, generator).double()
    by_samples, by_frames = family.samples(noise, boundaries), family.frames(noise, boundaries)
    error = (by_samples - by_frames).square().sum() / by_samples.square().sum()
    assert error < 10 ** (-15 / 10)


@pytest.mark.parametrize("family", MEMBERS, ids=lambda family: family.name)
def test_as_many_degrees_of_freedom_as_said(family: Family):
    start = family.start()
    generator = torch.Generator().manual_seed(1)
    numbers = start + 0.3 * torch.randn(len(start), generator=generator, dtype=start.dtype)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: family.response(x, 300).abs().log(), numbers
    )
    scale = jacobian.norm(dim=0, keepdim=True).clamp(min=1e-12)
    values = torch.linalg.svdvals(jacobian / scale)
    assert int((values > 1e-9 * values[0]).sum()) == family.parameters


def test_a_filter_of_the_family_is_found_and_has_its_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fitting, "STEPS", 60)
    numbers = 0.5 * torch.randn(4, 8, generator=torch.Generator().manual_seed(2)).double()
    envelopes = AllPole(6).response(numbers, 256).abs().log()
    envelopes = envelopes - envelopes.mean(dim=1, keepdim=True)
    fits = [fitting.fit(AllPole(order), envelopes, 0.15) for order in (2, 6)]
    assert fits[1].mean_db < 0.5 < 1.5 < fits[0].mean_db
    assert fits[1].steps_to(1.0) is not None
    assert fits[0].steps_to(0.1) is None
    # Linear prediction finds an all-pole filter of its own order exactly.
    assert max(fitting.predicted(envelopes, 6)) < 1e-3
    assert "all-pole 6" in fits_table(fits, {})
    assert targets_table(fits).count("6 (7; 7 /") >= 3  # 2 poles reach no more than 4 dB


def test_a_resonance_that_stays_errs_by_what_is_cut_off():
    radius, taps = 0.99, 512
    course = departure.glide_course(radius, 0.0)
    assert departure.bandwidth_hz(radius) == pytest.approx(51.2, abs=0.1)
    x = white_noise(1, departure.RATE, torch.Generator().manual_seed(0)).double()
    truth = departure.reference(x, course)
    errors = {
        name: departure.compare(name, 0, way(x, course, HOP), truth).error_db
        for name, way in departure.WAYS.items()
    }
    assert errors["all-pole, interpolated"] == departure.NOWHERE_DB
    assert errors["all-pole, held"] == departure.NOWHERE_DB
    # The energy of a response beyond its first taps is radius to twice their number.
    tail_db = 20 * taps * math.log10(radius)
    assert errors["FIR of its response, frames"] == pytest.approx(tail_db, abs=1)
    assert errors["FIR of its response, interpolated"] == pytest.approx(tail_db, abs=1)


def test_held_is_the_library_s_filter_by_frames_and_worse_for_longer_frames():
    course = departure.glide_course(0.98, 10.0)
    x = white_noise(1, departure.RATE, torch.Generator().manual_seed(0)).double()
    held = departure.held(x, course, HOP)
    frames = departure.predictor_from_line_spectra(course[:, HOP // 2 :: HOP])
    assert torch.allclose(held, all_pole(x, frames)[0])
    truth = departure.reference(x, course)
    errors = [
        departure.compare("held", hop, departure.held(x, course, hop), truth).error_db
        for hop in (2, 40, 160)
    ]
    assert errors[0] < -40 < errors[1] < errors[2]
