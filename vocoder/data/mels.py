"""Mels as files: .npy arrays and .pt tensors as TTS systems write them."""

import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import MelError, one_line
from vocoder.features.mel import MelSpec
from vocoder.reading import open_file

MEL_SUFFIXES = (".npy", ".pt")

DAMAGED_ARRAY = (
    *(ValueError, EOFError, TypeError, SyntaxError, OverflowError),
    *(tokenize.TokenError, zipfile.BadZipFile),
)
"""What numpy raises for damaged headers, which it parses as Python, and for archives."""


def find_mels(inputs: Sequence[Path]) -> dict[Path, Path]:
    """Named files and every .npy and .pt in named folders: source → path of its WAV below --output.

    Raises:
        MelError: an input that is missing, or a folder without a mel.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        if given.is_dir():
            found_here = (path for path in given.rglob("*") if path.suffix in MEL_SUFFIXES)
            inside = sorted(path for path in found_here if path.is_file())
            if not inside:
                raise MelError(f"{given}: no .npy or .pt file in this folder")
            found |= {path: path.relative_to(given).with_suffix(".wav") for path in inside}
        elif given.is_file():
            found[given] = Path(given.with_suffix(".wav").name)
        else:
            raise MelError(f"{given}: does not exist; check the path")
    return found


def read_mel(path: Path, spec: MelSpec) -> Float[Tensor, "1 n_mels frames"]:
    """A mel of `spec` from a .npy or .pt file of shape (n_mels, frames), (frames, n_mels) or either
    with a leading 1. An ambiguous shape is read as (n_mels, frames).

    Raises:
        MelError: not an array of real numbers, another shape, or `spec.check` fails.
    """
    array = _read_tensor(path) if path.suffix == ".pt" else _read_array(path)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise MelError(f"{path}: holds no array of real numbers")
    shape = array.shape
    if array.ndim == 3 and shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and spec.n_mels in shape[1:]:
        raise MelError(
            f"{path}: shape {shape}, a batch of {shape[0]}; write one file per mel, as only you "
            "know the length of each"
        )
    if array.ndim != 2 or spec.n_mels not in array.shape:
        raise MelError(
            f"{path}: shape {shape}; a mel of this spec is ({spec.n_mels}, frames) or "
            f"(frames, {spec.n_mels}); name its own spec by --spec"
        )
    if array.shape[0] != spec.n_mels:
        array = array.T
    mel = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))[None]
    try:
        spec.check(mel)
    except MelError as error:
        raise MelError(f"{path}: {error}") from error
    return mel


def _read_array(path: Path) -> object:
    try:
        with open_file(path, MelError):
            # Mapped, so that no more is read than there is, whatever the header claims.
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGED_ARRAY as error:
        raise MelError(f"{path}: not a readable .npy file ({one_line(error)})") from error


def _read_tensor(path: Path) -> object:
    try:
        with open_file(path, MelError):
            # Tensors alone: nothing else is unpickled.
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGED_ARRAY, RuntimeError, UnpicklingError, LookupError, AttributeError) as error:
        raise MelError(
            f"{path}: not a readable .pt file of a tensor ({one_line(error)})"
        ) from error
    if not isinstance(stored, Tensor) or stored.layout != torch.strided:
        return stored
    if stored.is_complex() or stored.dtype == torch.bool:
        return stored  # no real numbers
    return stored.detach().float().numpy()
