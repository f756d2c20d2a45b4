"""Vocoders that ``vocoder export`` has written, in ONNX Runtime: NumPy in, NumPy out, no PyTorch.

v = OnnxVocoder("universal.onnx")
waveform = v(v.mel(recording))
"""

from vocoder_runtime.errors import VocoderError
from vocoder_runtime.mel import MelSpec
from vocoder_runtime.onnx_vocoder import OnnxStream, OnnxVocoder

__version__ = "0.1.0"
__all__ = ["MelSpec", "OnnxStream", "OnnxVocoder", "VocoderError", "__version__"]
