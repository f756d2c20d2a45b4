"""Mels as acoustic models predict them: smoother than those of any recording."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad


def smooth_mel(
    mel: Float[Tensor, "batch n_mels frames"], bands: int = 1, frames: int = 1
) -> Float[Tensor, "batch n_mels frames"]:
    """Mean of a log mel over odd numbers of bands and frames; at the ends their values held.

        M[m, n] ← Σ_i Σ_j M[m + i, n + j] / (bands · frames),  |i| ≤ bands // 2, |j| ≤ frames // 2

    A model that is trained on squared distances predicts the mean of what is likely (Bishop,
    "Pattern Recognition and Machine Learning", 2006, section 1.5.5), which lacks the ripple of
    single harmonics and frames.

    Args:
        mel: logarithms to any base, in any unit.
        bands: of the mean, 1 for none.
        frames: of the mean, 1 for none.

    Raises:
        ValueError: an even number, or one below one.

    >>> smooth_mel(Tensor([[[0.0, 3.0, 0.0]]]), frames=3).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    for name, count in (("bands", bands), ("frames", frames)):
        if count < 1 or count % 2 == 0:
            raise ValueError(f"{name} is {count}: an odd number, 1 for none")
    held = pad(mel, (frames // 2, frames // 2, bands // 2, bands // 2), mode="replicate")
    return avg_pool2d(held, (bands, frames), stride=1)
