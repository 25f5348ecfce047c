#!/usr/bin/env bash
# tokenizer_ucf101-tokenizer-train: videoar tokenizer train
# Made by `videoar submit`. Ray runs it once on each of 2 machines.
# The folder must be the same there: use a file system that the machines share.
set -u
cd -- /shared/work || exit 1

# Variables. No secret is in this file.
HF_TOKEN=$(<'/shared/.hf token') || exit 1; export HF_TOKEN
export NCCL_DEBUG=WARN

# The command. Relative paths are resolved in the folder above.
exec venv/bin/python -m videoar.cluster.entry tokenizer train tokenizer_ucf101 --processes 8

# jobs/tokenizer_ucf101-tokenizer-train.sh would be sent by: ray job submit --address http://10.0.0.5:8265 --no-wait -- 'cd /shared/work && exec venv/bin/python -m videoar.cluster.submit.ray_jobs.machines --machines=2 --cpus=8 --gpus=8 --requeues=20 --notice=300 jobs/tokenizer_ucf101-tokenizer-train.sh'
