#!/usr/bin/env bash
# What limits the universal weights, how often to project, other voices than the mel's, mels that are
# not those of recordings, phases, harmonics and the rest, regions, draws of noise, hard inputs,
# discriminators, latency: speakers that were not trained on.
#     SPEECH=MANIFEST studies/ablations/run.sh
# Three hours on one core. Prints the tables of RESULTS.md, or renews them where it says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
SPEECH="${SPEECH:-data/many_voices/manifest.jsonl}"

python -m studies.ablations.oracles --speech "$SPEECH"
python -m studies.ablations.projection --speech "$SPEECH"
python -m studies.ablations.steering --speech "$SPEECH" --every 2
python -m studies.ablations.robustness --speech "$SPEECH" --every 2
python -m studies.ablations.phases --speech "$SPEECH" --every 2
python -m studies.ablations.harmonics --speech "$SPEECH" --every 2
python -m studies.ablations.regions --speech "$SPEECH" --every 2
python -m studies.ablations.draws --speech "$SPEECH"
python -m studies.ablations.hard_inputs --speech "$SPEECH" --every 4
python -m studies.ablations.discriminators --speech "$SPEECH"
python -m studies.ablations.latency --speech "$SPEECH" --every 2
