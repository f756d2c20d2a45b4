#!/usr/bin/env bash
# Is a source-filter vocoder a prior for removing noise from speech?
#     studies/denoising/run.sh
# Five to ten minutes on two cores. Writes RESULTS.md's tables and snr.png.
# Needs the extra `studies`.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
vocoder prepare asterisk --output "$DATA/asterisk" ${ASTERISK_SOURCE:+--source "$ASTERISK_SOURCE"}
python -m studies.denoising.study \
    --corpus "$DATA/festvox_ru" --others "$DATA/asterisk" "$@"
