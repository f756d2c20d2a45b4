"""Checkpoints on disk: written atomically, loaded strictly, never unpickled."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

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
    assert read_metadata(saved) == METADATA_OF_TESTS
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


def spoil_missing(state: dict) -> None:
    del state["1.weight"]


def spoil_surplus(state: dict) -> None:
    state["2.weight"] = torch.zeros(1)


def spoil_shape(state: dict) -> None:
    state["0.bias"] = torch.zeros(5)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_missing, r"missing: 1\.weight"),
        (spoil_surplus, r"unknown: 2\.weight"),
        (spoil_shape, r"of another shape: 0\.bias"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(saved: Path, spoil, said: str):
    state = dict(model().state_dict())
    spoil(state)
    save_file(state, saved / MODEL)
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


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "5", '{"step": 3}', "\xff"])
def test_metadata_that_cannot_be_used_is_named(saved: Path, text: str):
    (saved / METADATA).write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"metadata\.json: (no readable|lacks)") as caught:
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
    shutil.copytree(saved, folder / ".step-00000020.partial")
    (folder / "step-00000030").mkdir()
    assert latest_checkpoint(folder) == folder / "step-00000010"


def test_pruning_keeps_the_newest_and_clears_what_a_kill_left(saved: Path):
    folder = saved.parent
    for name in ("step-00000010", "step-00000100", ".step-00000101.partial", ".step-00000100.old"):
        shutil.copytree(saved, folder / name)
    prune_checkpoints(folder, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000010", "step-00000100"]


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


def test_files_of_a_checkpoint_can_be_read_by_others(saved: Path):
    plain = saved / "plain"
    plain.touch()
    assert {p.stat().st_mode for p in saved.iterdir()} == {plain.stat().st_mode}


def test_metadata_is_for_reading(saved: Path):
    assert json.loads((saved / METADATA).read_text()) == METADATA_OF_TESTS
