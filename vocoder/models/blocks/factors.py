"""The check of upsampling factors against the mel's hop."""

import math
from collections.abc import Sequence

from vocoder.errors import MelError
from vocoder.features.mel import MelSpec


def check_factors(setting: str, factors: Sequence[int], spec: MelSpec) -> None:
    """Check that the product of upsampling factors is the mel's hop.

    Args:
        setting: name of the factors in the model's config.
        factors: from frames to samples, one per stage.
        spec: of the mel.

    Raises:
        MelError: the product differs from ``spec.hop_length``.
    """
    product = math.prod(factors)
    if product != spec.hop_length:
        raise MelError(
            f"{setting} {' × '.join(map(str, factors))} = {product}, but the mel has hop_length "
            f"{spec.hop_length}: choose factors of this product in the recipe's model section"
        )
