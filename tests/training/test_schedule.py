"""The schedule of a run: learning rates by steps and by a budget, and the clock."""

import itertools
import math
import time

import pytest
import torch

from vocoder.training.schedule import Clock, TrainingConfig, learning_rate


def test_the_learning_rate_rises_linearly_and_falls_along_half_a_cosine():
    config = TrainingConfig(steps=110, warmup_steps=10, final_learning_rate=1e-5)
    rates = [learning_rate(step, config, 1e-3) for step in range(111)]
    assert rates[:10] == pytest.approx([1e-4 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1e-3)
    assert rates[60] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[35] == pytest.approx(1e-5 + (1e-3 - 1e-5) * (1 + math.sqrt(0.5)) / 2)
    assert rates[110] == pytest.approx(1e-5)
    assert all(before > after for before, after in itertools.pairwise(rates[10:]))
    # A stage that begins later warms up from there, and falls to the same end.
    late = [learning_rate(step, config, 1e-3, begin=60) for step in range(60, 111)]
    assert late[:10] == pytest.approx(rates[:10])
    assert late[10] == pytest.approx(1e-3)
    assert late[30] == pytest.approx((1e-3 + 1e-5) / 2)
    assert late[50] == pytest.approx(1e-5)


def test_with_a_budget_the_cosine_follows_the_share_of_it_that_is_spent():
    config = TrainingConfig(steps=10**6, budget_minutes=1, warmup_steps=10, final_learning_rate=0)
    assert learning_rate(4, config, 1.0, share=0.3) == pytest.approx(0.5)
    for share in (0.0, 0.25, 0.5, 1.0, 1.2):
        expected = 0.5 * (1 + math.cos(math.pi * min(share, 1)))
        assert learning_rate(500, config, 1.0, share=share) == pytest.approx(expected)


def test_with_a_budget_a_later_stage_warms_up_and_decays_too():
    config = TrainingConfig(steps=10**6, budget_minutes=1, warmup_steps=10, final_learning_rate=0)
    # Steps that take equally long: the budget ends at step 2,000.
    rates = [
        learning_rate(step, config, 1.0, begin=1000, share=step / 2000)
        for step in range(1000, 2001)
    ]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1.0, abs=1e-3)
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0)
    assert learning_rate(1100, config, 1.0, begin=1000, share=1.1) == pytest.approx(0)
    assert all(before > after for before, after in itertools.pairwise(rates[10:]))


def test_the_clock_counts_work_and_not_waiting():
    clock = Clock(torch.device("cpu"))
    clock.start()
    time.sleep(0.2)
    assert clock.seconds() < 0.05
    wall = time.perf_counter()
    while clock.seconds() < 0.1:
        torch.ones(100).sum()
    assert time.perf_counter() - wall > 0.09
