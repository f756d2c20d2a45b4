"""An exported vocoder in ONNX Runtime: NumPy in, NumPy out, without PyTorch."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float


class OnnxVocoder:
    """A file that ``vocoder export`` has written.

    Args:
        path: the ONNX file.
        threads: of one call.

    Attributes:
        mel: fields of the `MelSpec` that it takes.
        sample_rate, hop_length: of what comes out, in Hz and samples.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.mel: dict[str, object] = json.loads(metadata["mel"])
        self.sample_rate = int(metadata["sample_rate"])
        self.hop_length = int(metadata["hop_length"])

    def __call__(
        self,
        mel: Float[np.ndarray, "batch n_mels frames"],
        f0_hz: Float[np.ndarray, "batch frames"] | None = None,
        voicing: Float[np.ndarray, "batch frames"] | None = None,
        noise: Float[np.ndarray, "batch samples"] | None = None,
        seed: int = 0,
    ) -> Float[np.ndarray, "batch samples"]:
        """Waveform; F0 (Hz), voicing (0 to 1) and unit-power noise as `SourceFilter` takes them,
        predicted and drawn from ``seed`` when absent.

        Raises:
            ValueError: the mel is not (batch, n_mels, frames) or not finite, or another input does
                not fit it.
        """
        if mel.ndim != 3 or mel.shape[1] != self.mel["n_mels"] or 0 in mel.shape:
            raise ValueError(
                f"the mel is {mel.shape}: (batch, {self.mel['n_mels']}, frames) is expected"
            )
        if not np.isfinite(mel).all():
            raise ValueError("the mel has NaN or infinite values")
        batch, _, frames = mel.shape
        if noise is None:
            generator = np.random.default_rng(seed)
            noise = generator.standard_normal((batch, frames * self.hop_length), np.float32)
        values = {
            "mel": mel,
            "noise": noise.reshape(batch, frames, self.hop_length),
            "f0_hz": np.zeros((batch, frames)) if f0_hz is None else f0_hz,
            "voicing": np.full((batch, frames), -1.0) if voicing is None else voicing,
        }
        for name in ("f0_hz", "voicing"):
            if values[name].shape != (batch, frames):
                raise ValueError(
                    f"{name} is {values[name].shape}: one value per mel frame is expected"
                )
        inputs = {name: value.astype(np.float32) for name, value in values.items()}
        waveform: np.ndarray = self.session.run(["waveform"], inputs)[0]
        return waveform
