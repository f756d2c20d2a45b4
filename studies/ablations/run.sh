#!/usr/bin/env bash
# What limits the universal weights, and how often to project: speakers that were not trained on.
#     SPEECH=MANIFEST studies/ablations/run.sh
# Half an hour on one core. Prints the tables of RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
SPEECH="${SPEECH:-data/many_voices/manifest.jsonl}"

python -m studies.ablations.oracles --speech "$SPEECH"
python -m studies.ablations.projection --speech "$SPEECH"
