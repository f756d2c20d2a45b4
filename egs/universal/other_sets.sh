#!/usr/bin/env bash
# Universal weights on one of the other sets of recordings: fargan_ptdb, festvox_ru, asterisk_it, asterisk_ru.
#     egs/universal/other_sets.sh SET
# SYSTEM=griffin_lim scores Griffin-Lim. RECORDINGS is the folder, if it is not where `vocoder prepare`
# or the study of published pages puts it. Renews other_sets.csv and the table of RESULTS.md.
set -euo pipefail
[ -z "${RECORDINGS:-}" ] || RECORDINGS="$(realpath "$RECORDINGS")"
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
SET="${1:?a set: fargan_ptdb, festvox_ru, asterisk_it or asterisk_ru}"
SYSTEM="${SYSTEM:-universal}"
DATA="${DATA:-data}"
RUN="${RUN:-runs/other_sets}/$SET-$SYSTEM"

MEL=speecht5_16k
GIVEN=speecht5_16k
case "$SET" in
    fargan_ptdb)
        FOLDER="$DATA/published/fargan_ptdb/recording"
        MEL=mel_16k_10ms
        GIVEN=egs/universal/mel_16k_10ms.yaml
        ;;
    festvox_ru) FOLDER="$DATA/festvox_ru/wavs/test" ;;
    asterisk_it | asterisk_ru) FOLDER="$DATA/asterisk/wavs/test/${SET#asterisk_}" ;;
    *)
        echo "no set $SET: there are fargan_ptdb, festvox_ru, asterisk_it, asterisk_ru" >&2
        exit 1
        ;;
esac
FOLDER="${RECORDINGS:-$FOLDER}"

vocoder resynth "$FOLDER" --model "$SYSTEM" --mel "$GIVEN" --output "$RUN/audio"
vocoder evaluate --reference "$FOLDER" --system "$SYSTEM=$RUN/audio" --sample-rate 16000 \
    --metrics pesq,mstft,voicing_error,distillmos --output "$RUN/scores"
python -m studies.other_sets --add "$SET" "$MEL" "$SYSTEM" "$RUN/scores"
