#!/usr/bin/env bash
# Can the source-filter model in a trainable room remove reverberation from real speech?
#     studies/dereverberation/run.sh
# About ten minutes on two cores. Writes RESULTS.md's tables and decays.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
python -m studies.dereverberation.study --corpus "$DATA/festvox_ru" "$@"
