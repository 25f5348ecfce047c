#!/usr/bin/env bash
# debug-data-text: videoar data text
# Made by `videoar submit`. Ray runs it once on each of 1 machines.
# The folder must be the same there: use a file system that the machines share.
set -u
cd -- /shared/work || exit 1

# Variables. No secret is in this file.
HF_TOKEN=$(<'/shared/.hf token') || exit 1; export HF_TOKEN
export NCCL_DEBUG=WARN

# The command. Relative paths are resolved in the folder above.
exec venv/bin/python -m videoar.cluster.entry data text debug --output s3://bucket/shards

# jobs/debug-data-text.sh would be sent by: ray job submit --address http://10.0.0.5:8265 --no-wait -- 'cd /shared/work && exec venv/bin/python -m videoar.cluster.submit.ray_jobs.machines --machines=1 --cpus=1 --gpus=1 --requeues=20 --notice=120 jobs/debug-data-text.sh'
