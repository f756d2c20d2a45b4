"""The mel conventions of the TTS world, as fields of `MelSpec` (only data; each with its source).

Where a convention goes on to normalise by the mean and variance of a corpus, the preset stops
before that, and `MelSpec.with_statistics` adds them.
"""

Fields = dict[str, str | int | float]


def _hifigan(sample_rate: int, n_mels: int, f_max: float, n_fft: int = 1024) -> Fields:
    """jik876/hifi-gan meldataset.py (mel_spectrogram): ln of slaney bins of amplitudes."""
    return {
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "hop_length": n_fft // 4,
        "win_length": n_fft,
        "n_mels": n_mels,
        "f_min": 0.0,
        "f_max": f_max,
        "log": "ln",
        "floor": 1e-5,
        "padding": "same",
        "magnitude_eps": 1e-9,
    }


def _espnet(
    sample_rate: int, f_min: float, n_fft: int = 1024, hop_length: int = 256, win_length: int = 1024
) -> Fields:
    """kan-bayashi/ParallelWaveGAN bin/preprocess.py (logmelfilterbank): log10, centred frames."""
    return {
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "win_length": win_length,
        "n_mels": 80,
        "f_min": f_min,
        "f_max": 7600.0,
        "log": "log10",
        "floor": 1e-10,
        "padding": "center",
    }


PRESET_FIELDS: dict[str, Fields] = {
    # huggingface/transformers models/speecht5/feature_extraction_speecht5.py: 64 ms every 16 ms.
    # The default at 16 kHz.
    "speecht5_16k": _espnet(16000, f_min=80.0),
    # jik876/hifi-gan config_v1.json; Matcha-TTS and NVIDIA's Tacotron 2 agree.
    "hifigan_22k": _hifigan(22050, n_mels=80, f_max=8000.0),
    # NVIDIA/BigVGAN meldataset.py and the names of its models; fmax null is the Nyquist frequency.
    "bigvgan_24k": _hifigan(24000, n_mels=100, f_max=12000.0),
    "bigvgan_22k_8k": _hifigan(22050, n_mels=80, f_max=8000.0),
    "bigvgan_22k_11k": _hifigan(22050, n_mels=80, f_max=11025.0),
    # gemelo-ai/vocos feature_extractors.py, configs/vocos.yaml, modules.py (safe_log): what
    # torchaudio's MelSpectrogram does by default, with amplitudes. F5-TTS agrees.
    "vocos_24k": {
        "sample_rate": 24000,
        "n_fft": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_mels": 100,
        "f_min": 0.0,
        "f_max": 12000.0,
        "mel_scale": "htk",
        "mel_norm": "none",
        "log": "ln",
        "floor": 1e-7,
        "padding": "center",
    },
    # kan-bayashi/ParallelWaveGAN egs/libritts and egs/ljspeech (parallel_wavegan.v1.yaml), which
    # ESPnet's TTS recipes share; before mean and variance.
    "espnet_24k": _espnet(24000, f_min=80.0, n_fft=2048, hop_length=300, win_length=1200),
    "espnet_22k": _espnet(22050, f_min=80.0),
    # FunAudioLLM/CosyVoice examples/libritts/cosyvoice{,2,3}/conf (feat_extractor): Matcha's
    # mel_spectrogram. CosyVoice 3 sets fmax to null, the Nyquist frequency.
    "cosyvoice1_22k": _hifigan(22050, n_mels=80, f_max=8000.0),
    "cosyvoice2_24k": _hifigan(24000, n_mels=80, f_max=8000.0, n_fft=1920),
    "cosyvoice3_24k": _hifigan(24000, n_mels=80, f_max=12000.0, n_fft=1920),
    # coqui-ai/TTS utils/audio/numpy_transforms.py and processor.py (normalize),
    # config/shared_configs.py. S dB become 8 (S - ref_level_db - min_level_db) / -min_level_db - 4
    # = (S + 30) / 12.5 with ref_level_db 20 and min_level_db -100, clipped to -4 and 4.
    "coqui_22k": {
        "sample_rate": 22050,
        "n_fft": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_mels": 80,
        "f_min": 0.0,
        "f_max": 11025.0,
        "log": "db",
        "floor": 1e-8,
        "padding": "center",
        "mean": -30.0,
        "scale": 12.5,
        "clip_min": -4.0,
        "clip_max": 4.0,
    },
    # r9y9/wavenet_vocoder audio.py (logmelspectrogram), datasets/wavallin.py, egs/mol; before mean
    # and variance. Its pre-emphasis is of the waveform to be modelled: the mel comes before it.
    "r9y9_22k": _espnet(22050, f_min=125.0),
}
