"""Acoustic models of Hugging Face transformers, with small random weights."""

import torch


def small_speech_t5():
    """SpeechT5 of 40 tokens; its mel has the level of speech."""
    from transformers import SpeechT5Config, SpeechT5ForTextToSpeech

    config = SpeechT5Config(
        hidden_size=24,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        speech_decoder_prenet_units=16,
        speech_decoder_postnet_units=16,
        speaker_embedding_dim=8,
        vocab_size=40,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SpeechT5ForTextToSpeech(config).eval()
    with torch.no_grad():
        model.speech_decoder_postnet.feat_out.bias.sub_(2.5)
    return model


def small_fast_speech_2(normalize_before: bool):
    """FastSpeech2Conformer of 40 tokens, about four frames each, with its HiFi-GAN."""
    from transformers import (
        FastSpeech2ConformerConfig,
        FastSpeech2ConformerHifiGanConfig,
        FastSpeech2ConformerWithHifiGan,
        FastSpeech2ConformerWithHifiGanConfig,
    )

    acoustic = FastSpeech2ConformerConfig(
        hidden_size=24,
        vocab_size=40,
        num_mel_bins=80,
        encoder_layers=1,
        encoder_num_attention_heads=2,
        encoder_linear_units=32,
        decoder_layers=1,
        decoder_num_attention_heads=2,
        decoder_linear_units=32,
        speech_decoder_postnet_units=16,
        pitch_predictor_channels=16,
        energy_predictor_channels=16,
        duration_predictor_channels=16,
    )
    hifigan = FastSpeech2ConformerHifiGanConfig(
        upsample_initial_channel=16, normalize_before=normalize_before
    )
    config = FastSpeech2ConformerWithHifiGanConfig(
        model_config=acoustic.to_dict(), vocoder_config=hifigan.to_dict()
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FastSpeech2ConformerWithHifiGan(config).eval()
    with torch.no_grad():
        model.model.duration_predictor.linear.bias.fill_(1.5)
    return model
