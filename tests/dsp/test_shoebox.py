"""The image method against mirroring one by one, pyroomacoustics, and the laws of decay."""

import numpy as np
import pyroomacoustics
import pytest
import torch
from torch.autograd import gradcheck

from tests.oracles import sources as oracle
from vocoder.dsp.rooms import shoebox
from vocoder.dsp.rooms.shoebox import room_response

RATE = 16000
ROOM = torch.tensor([[5.2, 4.1, 2.9]], dtype=torch.float64)
SOURCE = torch.tensor([[1.3, 2.9, 1.1]], dtype=torch.float64)
MICROPHONE = torch.tensor([[4.0, 0.8, 1.75]], dtype=torch.float64)
WALLS = torch.tensor([[[0.1, 0.3], [0.2, 0.6], [0.5, 0.05]]], dtype=torch.float64)


def response(order: int = 4, taps: int = 1200, **changed: torch.Tensor) -> torch.Tensor:
    inputs = {"room_m": ROOM, "source_m": SOURCE, "microphone_m": MICROPHONE, "absorption": WALLS}
    return room_response(**(inputs | changed), sample_rate=RATE, n_taps=taps, max_order=order)


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_images_are_those_of_mirroring_one_by_one(order):
    positions, gains = oracle.image_sources(
        ROOM[0].numpy(), SOURCE[0].numpy(), np.sqrt(1 - WALLS[0].numpy()), order
    )
    expected = oracle.room_response(positions, gains, MICROPHONE[0].numpy(), RATE, 1200, 40)
    np.testing.assert_allclose(response(order)[0], expected, atol=1e-13)


def test_it_is_the_room_of_pyroomacoustics():
    settings = {"rir_hpf_enable": False, "sinc_lut_granularity": 200}
    before = {name: pyroomacoustics.constants.get(name) for name in settings}
    for name, value in settings.items():
        pyroomacoustics.constants.set(name, value)
    try:
        names = [["west", "east"], ["south", "north"], ["floor", "ceiling"]]
        walls = {n: float(WALLS[0, i, j]) for i, two in enumerate(names) for j, n in enumerate(two)}
        room = pyroomacoustics.ShoeBox(
            ROOM[0].numpy(),
            fs=RATE,
            materials=pyroomacoustics.make_materials(**walls),
            max_order=8,
        )
        room.set_sound_speed(343.0)
        room.add_source(SOURCE[0].numpy())
        room.add_microphone(MICROPHONE[0].numpy())
        room.compute_rir()
    finally:
        for name, value in before.items():
            pyroomacoustics.constants.set(name, value)
    # They begin 40 samples early, and leave the 4π of a sphere's surface out.
    theirs = room.rir[0][0][40:2040].astype(np.float64) / (4 * np.pi)
    ours = response(8, 2000)[0].numpy()
    frequency = np.fft.rfftfreq(2000, 1 / RATE)
    error, whole = (np.fft.rfft(x)[frequency < 7000] for x in (ours - theirs, theirs))
    # Their sinc comes from a table in single precision.
    assert 20 * np.log10(np.linalg.norm(error) / np.linalg.norm(whole)) < -50


def test_without_walls_there_is_the_direct_sound_alone():
    heard = response(3, absorption=torch.ones_like(WALLS))[0]
    distance = float((SOURCE - MICROPHONE).norm())
    torch.testing.assert_close(heard, response(0)[0])
    spectrum = torch.fft.rfft(heard)
    bins = slice(0, 480)
    np.testing.assert_allclose(spectrum.abs()[bins], 1 / (4 * np.pi * distance), rtol=2e-3)
    omega = torch.arange(480) * (2 * torch.pi / 1200)
    turned = spectrum[bins] * torch.exp(1j * omega * distance * RATE / 343)
    assert turned.angle().abs().max() < 1e-3


def test_source_and_microphone_may_change_places():
    torch.testing.assert_close(response(), response(source_m=MICROPHONE, microphone_m=SOURCE))


def test_a_closer_source_is_louder_and_earlier():
    near = response(0, source_m=0.5 * (SOURCE + MICROPHONE))[0]
    far = response(0)[0]
    assert near.argmax() * 2 == pytest.approx(int(far.argmax()), abs=2)
    power = (near.square().sum() / far.square().sum()).item()
    assert power == pytest.approx(4, rel=0.02)


def test_reverberation_has_the_energy_of_its_images():
    # On a sphere that grows with the sound there is an image for each V of space, and sound from
    # the direction u has met |u_x| c t / L_x walls of the axis x: c / (4πV) a second, averaged over
    # all directions of (1 - α)^(c t Σ |u_x| / L_x). Images add up as noise does, high up.
    size, share = torch.tensor([[4.0, 3.7, 3.3]], dtype=torch.float64), 0.3
    heard = response(
        34,
        4800,
        room_m=size,
        source_m=0.31 * size,
        microphone_m=torch.tensor([[0.61, 0.72, 0.43]], dtype=torch.float64) * size,
        absorption=torch.full((1, 3, 2), share, dtype=torch.float64),
    )[0]
    spectrum = torch.fft.rfft(heard)
    spectrum[: int(4800 * 2000 / RATE)] = 0
    spectrum[int(4800 * 6000 / RATE) :] = 0
    power = 2 * torch.fft.irfft(spectrum).square().reshape(-1, 400).sum(dim=1)
    directions = np.random.default_rng(0).standard_normal((20_000, 3))
    directions = np.abs(directions) / np.linalg.norm(directions, axis=1, keepdims=True)
    walls_per_metre = (directions / size.numpy()).sum(axis=1)
    metres = 343 * (400 * np.arange(12)[:, None] + 200) / RATE
    decay = ((1 - share) ** (metres * walls_per_metre)).mean(axis=1)
    expected = 343 / (4 * np.pi * float(size.prod())) * decay * 400 / RATE
    decibels = 10 * np.log10(power.numpy() / expected)
    assert np.abs(decibels[1:8]).max() < 1.5
    assert abs(decibels[1:8].mean()) < 0.3


@pytest.mark.parametrize("order", [4, 9])
def test_further_reflections_come_later(order):
    # All walls reflect all: only the distance tells. 2.9 m is the shortest edge.
    walls = torch.zeros_like(WALLS)
    complete = int((order - 2) / np.sqrt(3) * 2.9 * RATE / 343) - 40
    short, long = (response(o, 1200, absorption=walls)[0] for o in (order, order + 8))
    torch.testing.assert_close(short[:complete], long[:complete], atol=1e-14, rtol=0)
    assert (short - long).abs().max() > 1e-3


def test_gradients_point_to_the_source():
    inputs = [x.clone().requires_grad_() for x in (ROOM, SOURCE, MICROPHONE, WALLS)]
    assert gradcheck(lambda *x: room_response(*x, 2000, 60, 2), inputs)
    # The source position is found from a response, starting a quarter of a sample away.
    wanted = response(2, 600)
    place = (SOURCE + 0.005).requires_grad_()
    optimizer = torch.optim.LBFGS([place], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = 1e4 * (response(2, 600, source_m=place) - wanted).square().sum()
        error.backward()
        return error

    optimizer.step(loss)
    torch.testing.assert_close(place.detach(), SOURCE, atol=1e-4, rtol=0)


def test_rooms_of_a_batch_have_nothing_to_do_with_one_another(monkeypatch: pytest.MonkeyPatch):
    one = (ROOM, SOURCE, MICROPHONE, WALLS)
    other = (1.5 * ROOM, MICROPHONE, SOURCE, 0.5 * WALLS)
    both = [torch.cat(pair) for pair in zip(one, other, strict=True)]
    together = room_response(*both, RATE, 800, 3)
    monkeypatch.setattr(shoebox, "_BLOCK_ELEMENTS", 1000)
    for row in range(2):
        alone = room_response(*(x[row : row + 1] for x in both), RATE, 800, 3)
        torch.testing.assert_close(alone[0], together[row])


def test_dtypes_agree():
    exact, single = response(10, 3000), room_response(
        ROOM.float(), SOURCE.float(), MICROPHONE.float(), WALLS.float(), RATE, 3000, 10
    )  # fmt: skip
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-6, rtol=0)


def test_impossible_rooms_are_refused():
    with pytest.raises(ValueError, match=r"a source at .* is not inside its room"):
        response(source_m=ROOM + 0.1)
    with pytest.raises(ValueError, match=r"a microphone at .* is not inside its room"):
        response(microphone_m=-SOURCE)
    with pytest.raises(ValueError, match="infinitely loud"):
        response(microphone_m=SOURCE)
    with pytest.raises(ValueError, match=r"absorptions from 0\.15 to 1\.1"):
        response(absorption=WALLS.clamp(min=0.15) + torch.tensor([[[0.0, 0.0], [0, 0.5], [0, 0]]]))
