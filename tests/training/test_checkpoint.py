"""Checkpoints on disk: written atomically, loaded strictly, never unpickled."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.training.tiny import leftover
from vocoder.errors import CheckpointError
from vocoder.loading import (
    METADATA,
    MODEL,
    latest_checkpoint,
    load_weights,
    read_metadata,
    read_tensors,
)
from vocoder.training.checkpoint import (
    RECIPE,
    TRAINING,
    optimizer_tensors,
    provenance,
    prune_checkpoints,
    restore_optimizer,
    save_checkpoint,
)

METADATA_OF_TESTS = {"step": 5, "mel_fingerprint": "0123456789ab"}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints" / "step-00000005"
    save_checkpoint(
        folder, model().state_dict(), {RECIPE: "mel: x\n"}, METADATA_OF_TESTS, {"a": torch.ones(1)}
    )
    return folder


def test_what_is_saved_is_what_is_loaded(saved: Path):
    assert {path.name for path in saved.iterdir()} == {MODEL, TRAINING, RECIPE, METADATA}
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    load_weights(other, saved / MODEL)
    for one, two in zip(model().parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    assert read_metadata(saved).items() >= METADATA_OF_TESTS.items()
    assert (saved / RECIPE).read_text() == "mel: x\n"


def test_saving_again_replaces_the_whole_folder(saved: Path):
    (saved / "stale").touch()
    save_checkpoint(saved, {"b": torch.zeros(2)}, {RECIPE: ""}, METADATA_OF_TESTS)
    assert {path.name for path in saved.iterdir()} == {MODEL, RECIPE, METADATA}
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_weights_that_share_memory_or_are_views_are_saved(tmp_path: Path):
    whole = torch.arange(6.0).reshape(2, 3)
    save_checkpoint(
        tmp_path / "c", {"t": whole.T, "row": whole[0]}, {RECIPE: ""}, METADATA_OF_TESTS
    )
    loaded = read_tensors(tmp_path / "c" / MODEL)
    assert torch.equal(loaded["t"], whole.T)
    assert torch.equal(loaded["row"], whole[0])


def save_tensors(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Other weights under a checkpoint's name, without the checksum of the former ones."""
    save_file(state, folder / MODEL)
    (folder / METADATA).write_text(json.dumps(METADATA_OF_TESTS))


def spoil_missing(state: dict) -> None:
    del state["1.weight"]


def spoil_surplus(state: dict) -> None:
    state["2.weight"] = torch.zeros(1)


def spoil_shape(state: dict) -> None:
    state["0.bias"] = torch.zeros(5)


def spoil_integer(state: dict) -> None:
    state["0.bias"] = torch.zeros(4, dtype=torch.int32)


def spoil_truth(state: dict) -> None:
    state["1.weight"] = torch.ones(2, 4, dtype=torch.bool)


def spoil_nan(state: dict) -> None:
    state["1.bias"][1] = torch.nan


def spoil_infinity(state: dict) -> None:
    state["0.weight"][0, 0] = -torch.inf


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_integer, r"of another type: 0\.bias"),
        (spoil_truth, r"of another type: 1\.weight"),
        (spoil_nan, r"NaN or infinite values in 1\.bias; take another checkpoint"),
        (spoil_infinity, r"NaN or infinite values in 0\.weight"),
        (spoil_missing, r"missing: 1\.weight"),
        (spoil_surplus, r"unknown: 2\.weight"),
        (spoil_shape, r"of another shape: 0\.bias"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(saved: Path, spoil, said: str):
    state = dict(model().state_dict())
    spoil(state)
    save_tensors(state, saved)
    target = model()
    before = [p.clone() for p in target.parameters()]
    with pytest.raises(CheckpointError, match=said) as caught:
        load_weights(target, saved / MODEL)
    assert str(saved / MODEL) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, target.parameters(), strict=True))


class Trap:
    """Leaves a trace where it is unpickled."""

    trace: Path

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def write_pickle(path: Path, trace: Path) -> None:
    Trap.trace = trace
    path.write_bytes(pickle.dumps(Trap()))


def write_torch_archive(path: Path, trace: Path) -> None:
    Trap.trace = trace
    torch.save({"weight": torch.ones(2), "trap": Trap()}, path)


def write_half(path: Path, trace: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_header_only(path: Path, trace: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def write_nothing(path: Path, trace: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [write_pickle, write_torch_archive, write_half, write_header_only, write_nothing]
)
def test_a_corrupt_or_pickled_file_is_refused_unread(saved: Path, tmp_path: Path, spoil):
    trace = tmp_path / "trace"
    spoil(saved / MODEL, trace)
    with pytest.raises(CheckpointError, match="not a readable safetensors file") as caught:
        load_weights(model(), saved / MODEL)
    assert str(saved / MODEL) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_a_missing_file_is_named(saved: Path):
    (saved / TRAINING).unlink()
    with pytest.raises(CheckpointError, match=r"training\.safetensors: no such file"):
        read_tensors(saved / TRAINING)


@pytest.mark.parametrize("bit", range(100, 100 + 15 * 8, 9))
def test_every_flipped_bit_of_the_weights_is_noticed(saved: Path, bit: int):
    content = bytearray((saved / MODEL).read_bytes())
    content[-1 - bit // 8] ^= 1 << bit % 8
    (saved / MODEL).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged or replaced: its SHA-256|not a readable"):
        load_weights(model(), saved / MODEL)


def test_a_checkpoint_without_checksums_is_loaded(saved: Path):
    save_tensors(model().state_dict(), saved)
    load_weights(model(), saved / MODEL)


@pytest.mark.parametrize("name", [None, "git"])
def test_training_does_not_need_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name):
    """No git, and a git that fails."""
    if name is not None:
        (tmp_path / name).write_text("#!/bin/sh\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    provenance.cache_clear()
    assert provenance()["git_revision"] == "unknown"
    provenance.cache_clear()


UNUSABLE_METADATA = (
    *("", "{", "[1, 2]", "5", '{"step": 3}', "\xff", "[" * 100_000),
    '{"mel_fingerprint": "a", "step": "three"}',
    '{"mel_fingerprint": "a", "step": -3}',
    '{"mel_fingerprint": "a", "step": true}',
    '{"mel_fingerprint": "a", "step": 1e400}',
    '{"mel_fingerprint": ["a"], "step": 3}',
    '{"mel_fingerprint": "a", "step": 3, "spent_s": NaN}',
    '{"mel_fingerprint": "a", "step": 3, "sha256": "abc"}',
    '{"mel_fingerprint": "a", "step": ' + "9" * 5000 + "}",
)


@pytest.mark.parametrize("text", UNUSABLE_METADATA)
def test_metadata_that_cannot_be_used_is_named(saved: Path, text: str):
    (saved / METADATA).write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"metadata\.json: .") as caught:
        read_metadata(saved)
    assert "\n" not in str(caught.value)


def test_metadata_is_json_that_every_reader_takes(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(tmp_path / "c", {}, {}, {"step": 1, "scores": {"pesq": float("nan")}})
    assert not (tmp_path / "c").exists()


def test_the_latest_checkpoint_is_the_highest_whole_one(saved: Path):
    folder = saved.parent
    assert latest_checkpoint(folder / "nowhere") is None
    shutil.copytree(saved, folder / "step-00000010")
    shutil.copytree(saved, folder / leftover("part"))
    (folder / "step-00000030").mkdir()
    assert latest_checkpoint(folder) == folder / "step-00000010"


def test_pruning_keeps_the_newest_and_clears_what_a_kill_left(saved: Path):
    folder = saved.parent
    for name in ("step-00000010", "step-00000100", leftover("part"), leftover("old")):
        shutil.copytree(saved, folder / name)
    prune_checkpoints(folder, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000010", "step-00000100"]


def test_copies_made_by_hand_are_neither_the_newest_nor_pruned(saved: Path):
    folder = saved.parent
    for name in ("step-best", "step-00000009 (copy)", "step-99", "step-00000007"):
        shutil.copytree(saved, folder / name)
    assert latest_checkpoint(folder) == folder / "step-00000007"
    prune_checkpoints(folder, 1)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["step-00000007", "step-00000009 (copy)", "step-99", "step-best"]


def test_an_optimizer_is_restored_exactly(tmp_path: Path):
    def step(module: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()

    one, other = model(), model()
    first = torch.optim.AdamW(one.parameters(), lr=0.1)
    step(one, first, 0)
    tensors = {name: value.clone() for name, value in optimizer_tensors(first, "o").items()}
    other.load_state_dict(one.state_dict())
    second = torch.optim.AdamW(other.parameters(), lr=0.1)
    restore_optimizer(second, tensors, "o", tmp_path)
    step(one, first, 1)
    step(other, second, 1)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    broken = {**tensors, "o.2.exp_avg_sq": torch.zeros(7)}
    with pytest.raises(CheckpointError, match=r"of another shape: o\.2\.exp_avg_sq"):
        restore_optimizer(second, broken, "o", tmp_path)
    for odd in ("o.x.exp_avg", "o.7", "o.0.exp_avg.more", "o.99.step", "o.0.max_exp_avg"):
        with pytest.raises(CheckpointError, match=rf"unknown: {odd}"):
            restore_optimizer(second, {**tensors, odd: torch.zeros(())}, "o", tmp_path)


def test_files_of_a_checkpoint_can_be_read_by_others(saved: Path):
    plain = saved / "plain"
    plain.touch()
    assert {p.stat().st_mode for p in saved.iterdir()} == {plain.stat().st_mode}


def test_metadata_is_for_reading(saved: Path):
    sums = {
        name: hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in (MODEL, TRAINING)
    }
    assert json.loads((saved / METADATA).read_text()) == {**METADATA_OF_TESTS, "sha256": sums}
