#!/usr/bin/env bash
# The whole loop on real data: model and ratings -> SFT -> reward models -> PPO and DPO -> report.
# Makes .venv, installs and fetches on the first run; a stage that is complete is not run again.
#
#   bash scripts/demo.sh            go on where the last run stopped
#   bash scripts/demo.sh --fresh    every stage anew
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

RUNS=runs/demo
CONFIGS=recipes/configs/film_reviews

case "${1:-}" in
    "") ;;
    --fresh) rm -rf "$RUNS" ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' scripts/demo.sh && exit ;;
    *) die "unknown option $1. Usage: bash scripts/demo.sh [--fresh]" ;;
esac

set_up
stay_offline

machine=cpu
python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && machine=single_gpu
launch=(accelerate launch --quiet --config_file "recipes/accelerate/$machine.yaml" --num_cpu_threads_per_process "$(cores)")

# stage NUMBER NAME TITLE MINUTES RECIPE CONFIG PARENT...: run a recipe into runs/demo/NAME, from the runs of its parents.
stage() {
    local number=$1 name=$2 title=$3 minutes=$4 recipe=$5 config=$CONFIGS/$6 parents=()
    for parent in "${@:7}"; do parents+=("$RUNS/$parent/manifest.json"); done
    python scripts/stage.py "$name" --number "$number" --of 7 --title "$title" --minutes "$minutes" \
        --inputs assets/SHA256SUMS "recipes/$recipe.py" "$config" ${parents[@]+"${parents[@]}"} \
        --output "$RUNS/$name" --record "$RUNS/stages.json" \
        -- "${launch[@]}" "recipes/$recipe.py" --config "$config" --output_dir "$RUNS/$name"
}

say "[1/7] Model and data"
python scripts/fetch_assets.py
SECONDS=0
stage 2 sft "Supervised fine-tuning" 2 sft sft.yaml
stage 3 reward "Reward model from people's comparisons" 4 reward reward.yaml sft
stage 4 gold "Gold reward model, an independent judge" 3 reward gold.yaml
stage 5 ppo "PPO" 6 ppo ppo.yaml sft reward
stage 6 dpo "DPO" 3 dpo dpo.yaml sft
python scripts/stage.py evaluate --number 7 --of 7 --title "Evaluation and report" --minutes 4 \
    --inputs assets/SHA256SUMS recipes/evaluate.py $CONFIGS/evaluate.yaml $RUNS/{sft,reward,gold,ppo,dpo}/manifest.json \
    --output "$RUNS/report.json" --record "$RUNS/stages.json" \
    -- "${launch[@]}" recipes/evaluate.py --config "$CONFIGS/evaluate.yaml"

say "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s."
python - "$RUNS/stages.json" <<'PYTHON'
import json
import sys

for name, stage in json.load(open(sys.argv[1])).items():
    print(f"  {name:10} {stage['wall_seconds']:6.0f} s   at most {stage['peak_memory_bytes'] / 2**30:.1f} GiB")
PYTHON
echo "Where to look next:
  $RUNS/report.html     the report, with plots and samples side by side (report.json: the same for programs)
  $RUNS/ppo/README.md   the model card of the PPO policy; beside it its adapter, metrics and plots
  README.md             how to bring your own data and model"
