#!/usr/bin/env bash
# A listening page: recordings, this model, WORLD, Griffin-Lim and Opus at 12 kbit/s, on twenty
# held-out utterances of three speakers. The last line is the path of the page.
# Can be rerun at any time: corpora are kept, and scores are cached.
# Arguments are passed to the evaluation: egs/report/run.sh --jobs 4
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/report}"
MODEL="${MODEL:-source_filter_16k}"

if ! command -v ffmpeg >/dev/null; then
    echo "egs/report needs ffmpeg for Opus: apt-get install ffmpeg" >&2
    exit 1
fi

vocoder prepare festvox_ru --output "$DATA/festvox_ru"
vocoder prepare asterisk --output "$DATA/asterisk"

# Every fourth test sentence of the seen speaker; of the unseen ones the middle of each fifth of
# the test list, which has files of 2 s and more.
MSU_RU_NSH="ru_0794 ru_0799 ru_0803 ru_0808 ru_0813 ru_0820 ru_0828 ru_0832 ru_0837 ru_0842"
CARLO="it_conf-getpin it_confbridge-only-participant it_followme_status it_vm-forwardoptions \
    it_vm-saveoper"
IVRVOICE_RU="ru_conf-full ru_confbridge-only-one ru_followme_pls-hold-while-try \
    ru_vm-incorrect-mailbox ru_vm-sorry"

# The folder of a recording is its speaker.
for FOLDER in recording opus_packets opus; do
    mkdir -p "$RUN/$FOLDER/msu_ru_nsh" "$RUN/$FOLDER/carlo" "$RUN/$FOLDER/ivrvoice_ru"
done
for NAME in $MSU_RU_NSH; do
    cp "$DATA/festvox_ru/wavs/test/$NAME.wav" "$RUN/recording/msu_ru_nsh/"
done
for NAME in $CARLO; do
    cp "$DATA/asterisk/wavs/test/it/$NAME.wav" "$RUN/recording/carlo/"
done
for NAME in $IVRVOICE_RU; do
    cp "$DATA/asterisk/wavs/test/ru/$NAME.wav" "$RUN/recording/ivrvoice_ru/"
done

vocoder resynth "$RUN/recording" --model "$MODEL" --output "$RUN/this_model"
vocoder resynth "$RUN/recording" --model griffin_lim --output "$RUN/griffin_lim"
vocoder resynth "$RUN/recording" --model world --output "$RUN/world"
for FILE in "$RUN"/recording/*/*.wav; do
    NAME="${FILE#"$RUN/recording/"}"
    PACKETS="$RUN/opus_packets/${NAME%.wav}.opus"
    ffmpeg -nostdin -loglevel error -y -i "$FILE" -c:a libopus -vbr off -b:a 12k "$PACKETS"
    ffmpeg -nostdin -loglevel error -y -i "$PACKETS" -ar 16000 "$RUN/opus/$NAME"
done

vocoder evaluate --reference "$RUN/recording" --output "$RUN/scores" \
    --system "recording=$RUN/recording" \
    --system "this model=$RUN/this_model" \
    --system "WORLD=$RUN/world" \
    --system "Griffin-Lim=$RUN/griffin_lim" \
    --system "Opus 12 kbit/s=$RUN/opus" \
    --metrics pesq,estoi,visqol,mstft,lsd,mcd_world,f0_rmse_cents,f0_fine_rmse_cents,voicing_error,hnr_difference,speaker_similarity,dnsmos_p808,distillmos \
    "$@"

vocoder bench --model "$MODEL" --json >"$RUN/this_model.json"
vocoder bench --model griffin_lim --json >"$RUN/griffin_lim.json"
vocoder report "$RUN/scores" --output "$RUN/page" \
    --title "Copy synthesis of held-out speech" \
    --cost "this model=$RUN/this_model.json" \
    --cost "Griffin-Lim=$RUN/griffin_lim.json"
