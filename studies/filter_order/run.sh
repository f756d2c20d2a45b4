#!/usr/bin/env bash
# What is the benefit of a learned time-varying FIR over adaptive filters, by order?
#     studies/filter_order/run.sh
# About a quarter of an hour on two cores. Writes RESULTS.md's tables and orders.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru" ${SOURCE:+--source "$SOURCE"}
python -m studies.filter_order.study --corpus "$DATA/festvox_ru" "$@"
