#!/usr/bin/env bash
# debug-data-run: videoar data run
# Made by `videoar submit`. Ray runs it on the head; its actors run on every machine.
# The folder must be the same there: use a file system that the machines share.
set -u
cd -- /shared/work || exit 1

# Variables. No secret is in this file.
HF_TOKEN=$(<'/shared/.hf token') || exit 1; export HF_TOKEN
export NCCL_DEBUG=WARN

# The command. Relative paths are resolved in the folder above.
exec venv/bin/python -m videoar.cluster.entry data run debug --output s3://bucket/shards

# jobs/debug-data-run.sh would be sent by: ray job submit --address http://10.0.0.5:8265 --no-wait -- 'cd /shared/work && exec bash jobs/debug-data-run.sh'
