#!/usr/bin/env bash
# Which description of a filter is the easiest to learn?
#     studies/parameterisation/run.sh
# About ten minutes on two cores. Writes RESULTS.md's tables and steps.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
python -m studies.parameterisation.study --corpus "$DATA/festvox_ru" "$@"
