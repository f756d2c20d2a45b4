#!/usr/bin/env bash
# Which filter for a spectral envelope of speech: finite or recursive, sample by sample or by frames?
#     studies/iir_or_fir/run.sh
# About ten minutes of one core. Writes RESULTS.md's tables, families.png and departure.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
python -m studies.iir_or_fir.study --corpus "$DATA/festvox_ru" "$@"
