"""The table of all metrics, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vocoder.errors import VocoderError, suggestion
from vocoder.evaluation.metric import Metric as Metric
from vocoder.metrics import (
    distillmos,
    dnsmos,
    f0,
    hnr,
    intelligibility,
    level,
    mcd,
    mel_distance,
    mstft,
    periodicity,
    pesq,
    snr,
    speaker_similarity,
    spectral_distance,
    stoi,
    visqol,
)
from vocoder.metrics.signals import Signal, lowpass_7k

BAND_SUFFIX = "_7k"


_NOT_VOICED = "no frame is voiced in both signals"
_NEVER_VOICED = "no frame is voiced in either signal"
_SILENT = "the estimate is silent"

_PRAAT = ("praat-parselmouth",)
_PESQ = ("pesq",)
_PYSTOI = ("pystoi",)
_LIBROSA = ("librosa",)
_DNSMOS = ("librosa", "onnxruntime", "speechmos")
_CREPE = ("librosa", "scipy", "torchcrepe")
_VISQOL = ("visqol-python",)
_RESEMBLYZER = ("librosa", "resemblyzer", "scipy")

# fmt: off
METRICS: dict[str, Metric] = {
    "pesq": Metric("PESQ-WB", pesq.pesq_wb, None, "higher", 3, pesq.CONVENTION, banded=True,
                   packages=_PESQ),
    "mstft": Metric("M-STFT", mstft.mstft, None, "lower", 3, mstft.CONVENTION, banded=True,
                    undefined="the reference is silent"),
    "mel_distance": Metric("mel distance (Np)", mel_distance.mel_distance, None, "lower", 3,
                           mel_distance.CONVENTION, banded=True, packages=_LIBROSA),
    "f0_rmse_cents": Metric("F0 RMSE (cents)", f0.f0_errors, "rmse_cents", "lower", 1,
                            f0.CONVENTION, undefined=_NOT_VOICED, packages=_PRAAT),
    "f0_fine_rmse_cents": Metric("F0 RMSE without gross errors (cents)", f0.f0_errors,
                                 "fine_rmse_cents", "lower", 1, f0.CONVENTION,
                                 undefined=_NOT_VOICED, packages=_PRAAT),
    "gross_pitch_error": Metric("gross pitch error", f0.f0_errors, "gross_pitch_error", "lower", 4,
                                f0.CONVENTION, undefined=_NOT_VOICED, packages=_PRAAT),
    "voicing_error": Metric("V/UV error", f0.f0_errors, "voicing_error", "lower", 4,
                            f0.CONVENTION, packages=_PRAAT),
    "dnsmos": Metric("DNSMOS overall", dnsmos.dnsmos, "overall", "higher", 3, dnsmos.CONVENTION,
                     ready=dnsmos.require_dnsmos, intrusive=False, packages=_DNSMOS),
    "dnsmos_p808": Metric("DNSMOS P.808", dnsmos.dnsmos, "p808", "higher", 3, dnsmos.CONVENTION,
                          ready=dnsmos.require_dnsmos, intrusive=False, packages=_DNSMOS),
    "pesq_nb": Metric("PESQ-NB", pesq.pesq_nb, None, "higher", 3, pesq.CONVENTION_NB,
                      packages=_PESQ),
    "stoi": Metric("STOI", stoi.stoi, "stoi", "higher", 4, stoi.CONVENTION,
                   ready=stoi.require_pystoi, packages=_PYSTOI),
    "estoi": Metric("ESTOI", stoi.stoi, "estoi", "higher", 4, stoi.CONVENTION,
                    ready=stoi.require_pystoi, packages=_PYSTOI),
    "lsd": Metric("LSD (dB)", spectral_distance.log_spectral_distance, None, "lower", 2,
                  spectral_distance.CONVENTION, banded=True),
    "mcd_mgcep": Metric("MCD mgcep (dB)", mcd.mcd_mgcep, None, "lower", 3, mcd.CONVENTION_MGCEP,
                        packages=_LIBROSA),
    "mcd_mcep": Metric("MCD mcep (dB)", mcd.mcd_mcep, None, "lower", 3, mcd.CONVENTION_MCEP,
                       packages=_LIBROSA),
    "mcd_world": Metric("MCD WORLD (dB)", mcd.mcd_world, None, "lower", 3, mcd.CONVENTION_WORLD,
                        ready=mcd.require_mcd_world, packages=("pyworld", "scipy")),
    "f0_rmse_hz": Metric("F0 RMSE (Hz)", f0.f0_errors, "rmse_hz", "lower", 2, f0.CONVENTION,
                         undefined=_NOT_VOICED, packages=_PRAAT),
    "voicing_f1": Metric("V/UV F1 (Praat)", f0.f0_errors, "voicing_f1", "higher", 4, f0.CONVENTION,
                         undefined=_NEVER_VOICED, packages=_PRAAT),
    "hnr_difference": Metric("HNR difference (dB)", hnr.hnr_difference, None, "lower", 2,
                             hnr.CONVENTION, undefined=_NOT_VOICED, packages=_PRAAT),
    "aperiodicity_difference": Metric("aperiodicity difference (dB)", hnr.aperiodicity_difference,
                                      None, "lower", 2, hnr.CONVENTION_APERIODICITY,
                                      undefined=_NOT_VOICED, ready=hnr.require_aperiodicity,
                                      packages=(*_PRAAT, "pyworld")),
    "snr": Metric("SNR (dB)", snr.signal_to_noise, "snr_db", "higher", 2, snr.CONVENTION),
    "si_sdr": Metric("SI-SDR (dB)", snr.signal_to_noise, "si_sdr_db", "higher", 2, snr.CONVENTION,
                     undefined=_SILENT),
    "level_difference": Metric("level difference (dB)", level.level_difference, None, "lower", 2,
                               level.CONVENTION, undefined=_SILENT, measures_level=True),
    "periodicity": Metric("periodicity RMSE (CREPE)", periodicity.periodicity_errors,
                          "periodicity_rmse", "lower", 4, periodicity.CONVENTION,
                          ready=periodicity.require_crepe, packages=_CREPE),
    "vuv_f1": Metric("V/UV F1 (CREPE)", periodicity.periodicity_errors, "vuv_f1", "higher", 4,
                     periodicity.CONVENTION, undefined=_NEVER_VOICED,
                     ready=periodicity.require_crepe, packages=_CREPE),
    "crepe_f0_rmse_cents": Metric("F0 RMSE (CREPE, cents)", periodicity.periodicity_errors,
                                  "f0_rmse_cents", "lower", 1, periodicity.CONVENTION,
                                  undefined=_NOT_VOICED, ready=periodicity.require_crepe,
                                  packages=_CREPE),
    "periodicity_vocos": Metric("periodicity RMSE (CREPE, Vocos)",
                                periodicity.periodicity_errors_vocos, "periodicity_rmse", "lower",
                                4, periodicity.VOCOS_CONVENTION, ready=periodicity.require_crepe,
                                packages=_CREPE),
    "vuv_f1_vocos": Metric("V/UV F1 (CREPE, Vocos)", periodicity.periodicity_errors_vocos,
                           "vuv_f1", "higher", 4, periodicity.VOCOS_CONVENTION,
                           undefined=_NEVER_VOICED, ready=periodicity.require_crepe,
                           packages=_CREPE),
    "periodicity_tiny": Metric("periodicity RMSE (CREPE tiny)",
                               periodicity.periodicity_errors_tiny, "periodicity_rmse", "lower",
                               4, periodicity.TINY_CONVENTION, ready=periodicity.require_crepe,
                               packages=_CREPE),
    "vuv_f1_tiny": Metric("V/UV F1 (CREPE tiny)", periodicity.periodicity_errors_tiny, "vuv_f1",
                          "higher", 4, periodicity.TINY_CONVENTION, undefined=_NEVER_VOICED,
                          ready=periodicity.require_crepe, packages=_CREPE),
    "visqol": Metric("ViSQOL", visqol.visqol, "mos", "higher", 3, visqol.CONVENTION,
                     ready=visqol.require_visqol, packages=_VISQOL),
    "visqol_nsim": Metric("ViSQOL NSIM", visqol.visqol, "nsim", "higher", 4,
                          visqol.NSIM_CONVENTION, ready=visqol.require_visqol, packages=_VISQOL),
    "speaker_similarity": Metric("speaker similarity", speaker_similarity.speaker_similarity,
                                 None, "higher", 4, speaker_similarity.CONVENTION,
                                 ready=speaker_similarity.require_resemblyzer,
                                 packages=_RESEMBLYZER),
    "distillmos": Metric("Distill-MOS", distillmos.distillmos, None, "higher", 3,
                         distillmos.CONVENTION, ready=distillmos.require_distillmos,
                         intrusive=False, packages=("distillmos",)),
    "cer_english": Metric("CER (English)", intelligibility.intelligibility, "cer", "lower", 4,
                          intelligibility.CONVENTION, ready=intelligibility.require_pocketsphinx,
                          packages=("pocketsphinx",)),
}
# fmt: on

DEFAULT_METRICS = ("pesq", "mstft", "mel_distance", "f0_rmse_cents", "voicing_error")


@dataclass(frozen=True)
class Column:
    """One column of an evaluation: a metric, full band or to 7 kHz."""

    name: str
    metric: Metric
    to_7k: bool

    @property
    def label(self) -> str:
        """Heading in tables."""
        return f"{self.metric.label}, to 7 kHz" if self.to_7k else self.metric.label

    @property
    def convention(self) -> str:
        """Description of the measurement, in one line."""
        if self.to_7k:
            return f"{self.label}: as in the full band, after a low-pass at 7 kHz on both signals"
        return self.metric.convention

    @property
    def source(self) -> tuple[object, bool, bool]:
        """Equal for columns measured by one call."""
        return self.metric.measure, self.to_7k, self.metric.measures_level

    def measure(self, reference: Signal, estimate: Signal, sample_rate: int) -> object:
        """The metric's result, in this column's band.

        The metric gets copies: whatever it does to them in place, others see the signals as they
        are.
        """
        if self.to_7k:
            reference, estimate = (lowpass_7k(x, sample_rate) for x in (reference, estimate))
        return self.metric.measure(_copy(reference), _copy(estimate), sample_rate)

    def value(self, result: object) -> float:
        """This column's number in a result of `measure`; NaN if undefined."""
        number = result if self.metric.field is None else getattr(result, self.metric.field)
        if isinstance(number, Tensor | np.ndarray | np.generic) and len(number.reshape(-1)) == 1:
            number = number.item()
        if not isinstance(number, int | float):
            raise VocoderError(f"its result is of the type {type(number).__name__}, not one number")
        return float(number)


def _copy(signal: Signal) -> Signal:
    return signal.clone() if isinstance(signal, Tensor) else signal.copy()


def resolve_columns(
    names: Sequence[str], to_7k: bool = False, more: Mapping[str, Metric] | None = None
) -> list[Column]:
    """Columns for names such as "pesq" or "pesq_7k", each once, in the order given.

    Args:
        names: keys of `METRICS` or `more`; those with a 7 kHz variant may end in `_7k`.
        to_7k: add that variant after each metric that has one.
        more: user-defined metrics, see `vocoder.evaluation.plugins`.

    Raises:
        VocoderError: no names, an unknown name (the message suggests a valid one), or a metric
            whose optional packages are missing.
    """
    known = {**METRICS, **(more or {})}
    valid = [*known, *(name + BAND_SUFFIX for name, metric in known.items() if metric.banded)]
    columns: dict[str, Column] = {}
    for name in names:
        if name not in valid:
            raise VocoderError(f"no metric {name!r}{suggestion(name, valid)}")
        metric = known[name.removesuffix(BAND_SUFFIX)]
        columns[name] = Column(name, metric, name.endswith(BAND_SUFFIX))
        if to_7k and metric.banded and not name.endswith(BAND_SUFFIX):
            columns.setdefault(name + BAND_SUFFIX, Column(name + BAND_SUFFIX, metric, True))
    if not columns:
        raise VocoderError(f"no metric to evaluate; name some of: {', '.join(valid)}")
    for column in columns.values():
        if column.metric.ready is not None:
            column.metric.ready()
    return list(columns.values())
