"""What every discriminator does: it learns, judges each segment, and bears silence."""

import itertools
import math

import pytest
import torch

from tests.discriminators.small import KINDS, noise, seeded, small
from vocoder.losses.adversarial import discriminator_loss

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        *itertools.product(["period", "spectrogram", "frames"], ["hinge", "least_squares"]),
        ("scale", "least_squares"),
        ("vocos", "clipped_hinge"),
    ],
)
def test_a_toy_problem_is_learnt(kind, loss):
    # Recorded: a tone of 500 Hz in noise. Generated: noise of the same power.
    model = small(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    tone = torch.sin(2 * math.pi * 500 / 16000 * torch.arange(1024))

    def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        phase = int(torch.randint(32, (1,), generator=seeded(seed)))
        real = 0.5 * math.sqrt(2) * tone.roll(phase) + 1.5 * noise(8, 1024, seed=seed)
        return real, 5 * math.sqrt(1.09) * noise(8, 1024, seed=1000 + seed)

    losses = []
    for step in range(40):
        real, fake = pair(step)
        value = discriminator_loss(model(real)[0], model(fake)[0], loss)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        real, fake = pair(500)  # never seen
        for good, bad in zip(model(real)[0], model(fake)[0], strict=True):
            assert good.flatten(1).mean(1).min() > bad.flatten(1).mean(1).max()


@EVERY_KIND
def test_silence_has_finite_scores_and_gradients(kind):
    model = small(kind)
    silence = torch.zeros(2, 1024, requires_grad=True)
    scores, features = model(silence)
    assert all(t.isfinite().all() for maps in features for t in maps)
    torch.stack([score.mean() for score in scores]).sum().backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


@EVERY_KIND
def test_the_waveform_hears_of_it_everywhere(kind):
    waveform = noise(1, 1024).requires_grad_()
    scores, _ = small(kind)(waveform)
    torch.stack([score.square().mean() for score in scores]).sum().backward()
    assert waveform.grad is not None
    assert (waveform.grad != 0).float().mean() > 0.99


@EVERY_KIND
def test_segments_of_a_batch_are_judged_one_by_one(kind):
    model, batch = small(kind).eval(), noise(3, 1024)
    together, _ = model(batch)
    for row in range(3):
        for score, alone in zip(together, model(batch[row : row + 1])[0], strict=True):
            torch.testing.assert_close(score[row : row + 1], alone, atol=1e-5, rtol=1e-4)
