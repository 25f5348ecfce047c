#!/usr/bin/env bash
# Tests and measures this repository on a GPU machine without network, in less than nine minutes.
#
#   make gpu-bundle                          # on a machine with network; then carry the repository and .whl/ over
#   scripts/on_gpu.sh                        # there, in the root of the repository: every part, the most valuable first
#   scripts/on_gpu.sh attention train        # only these parts
#   CASES='l *' scripts/on_gpu.sh train      # only cases that this pattern matches
#   scripts/on_gpu.sh --rehearse [PART...]   # the same at toy size, on any machine, in about a minute
#
# Each part has a limit of its own. One that fails or is stopped does not prevent the next; the exit code is then 1.
# $OUT (gpu-results if unset) receives results.jsonl, one line for each case as soon as it is measured, and log.txt.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

python=${PYTHON:-python3}
out=${OUT:-gpu-results}
size=gpu
repeats=3
patience=1
if [[ ${1:-} == --rehearse ]]; then
  size=toy
  repeats=1
  patience=10 # it may share its machine
  shift
fi

total_s=${TOTAL_S:-$((530 * patience))}

# name, seconds. Together they take less than 530.
PARTS="machine 15
tests 80
parity 40
attention 75
train 190
nccl 40
decode 55
tokenizer 35"
known() { cut -d' ' -f1 <<<"$PARTS"; }
limit_of() { sed -n "s/^$1 //p" <<<"$PARTS"; }

chosen=("$@")
if (($# == 0)); then mapfile -t chosen < <(known); fi
for part in "${chosen[@]}"; do
  if [[ -z $(limit_of "$part") ]]; then
    echo "PART=$part: is not a part; use: $(known | paste -sd' ')" >&2
    exit 2
  fi
done

if [[ $size == gpu ]] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "PYTHON=$python: its torch finds no GPU; use --rehearse for a run at toy size" >&2
  exit 2
fi

mkdir -p "$out"
results=$(realpath "$out")/results.jsonl
log=$(realpath "$out")/log.txt
: >>"$results" # a part that is run again adds to what is there
: >"$log"

# The package `videoar` is this folder, as pyproject.toml maps it; wheels that the machine lacks lie next to it.
site=$PWD/build/gpu-site
mkdir -p "$site"
ln -sfn "$PWD" "$site/videoar"
export PYTHONPATH=$site PYTHONUNBUFFERED=1
if [[ -d .whl && $size == gpu ]]; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target "$site" .whl/*.whl || exit 2
fi

# The command of a part, in the array `command`.
bench() {
  command=("$python" -m videoar.cluster.entry bench "$1" --size "$2" --repeats "$3" --output "$results")
  if [[ -n ${CASES:-} ]]; then command+=(--cases "$CASES"); fi
}
command_of() {
  case $1 in
    machine | attention | train | decode | tokenizer) bench "$1" "$size" "$repeats" ;;
    parity) bench attention toy 1 ;; # toy cases compare every backend with the reference in float32
    nccl)
      bench size1 "$size" "$repeats"
      command=("$python" -m torch.distributed.run --nproc-per-node 1 -m -- "${command[@]:2}")
      ;;
    tests)
      mapfile -t command < <(grep --recursive --files-with-matches --include='test_*.py' 'mark\.gpu' tests)
      command=("$python" -m pytest --quiet -m gpu -p no:cacheprovider "${command[@]}")
      ;;
  esac
}

# Runs a part under its limit, and adds a line to the results that says how it ended.
run_part() {
  local part=$1 limit left begun=$SECONDS lines logged code result
  command_of "$part"
  limit=$(($(limit_of "$part") * patience)) left=$((total_s - SECONDS)) lines=$(wc -l <"$results")
  if ((left < limit)); then limit=$((left > 1 ? left : 1)); fi
  printf '\n== %s: at most %s s\n' "$part" "$limit" | tee -a "$log"
  # Not through a pipe: a process that outlives its part, such as a worker of torch.compile, would keep it open.
  logged=$(wc -l <"$log")
  timeout --kill-after=5 "$limit" "${command[@]}" >>"$log" 2>&1
  code=$?
  tail -n +$((logged + 1)) "$log"
  case $code in
    0) result=ok ;;
    124 | 137) result="stopped after $limit s" ;;
    *) result="failed with exit code $code" ;;
  esac
  lines=$(($(wc -l <"$results") - lines))
  echo "{\"part\": \"$part\", \"result\": \"$result\", \"seconds\": $((SECONDS - begun)), \"lines\": $lines}" >>"$results"
  summary+=$(printf '%-10s %5s s %4s lines  %s' "$part" $((SECONDS - begun)) "$lines" "$result")$'\n'
  [[ $result == ok ]]
}

failed=0
summary=""
command -v nvidia-smi >/dev/null && nvidia-smi | tee -a "$log"
for part in "${chosen[@]}"; do run_part "$part" || failed=1; done
printf '\n%s' "$summary" | tee -a "$log"
exit "$failed"
