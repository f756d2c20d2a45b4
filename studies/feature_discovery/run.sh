#!/usr/bin/env bash
# Do frequency bands, learned as the first layer of a regression, find the relevant bands?
#     studies/feature_discovery/run.sh
# About a quarter of an hour on two cores. Writes RESULTS.md's tables, bands.png and sizes.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
python -m studies.feature_discovery.study --corpus "$DATA/festvox_ru" "$@"
