#!/usr/bin/env bash
# debug-data-run: videoar data run
# Made by `videoar submit`. Change what you like, and send it from /shared/work with: sbatch jobs/debug-data-run.sh
#SBATCH --job-name=debug-data-run               # name in squeue and of the log
#SBATCH --nodes=1                               # machines
#SBATCH --ntasks-per-node=1                     # one command on each
#SBATCH --signal=B:USR1@120                     # seconds before the time limit, this script tells the command to save
#SBATCH --array=1-16                            # jobs that share the work
#SBATCH --requeue                               # queue it again after a machine has failed
#SBATCH --output=jobs/debug-data-run-%A_%a.log  # stdout and stderr; %A is the number of the array, %a that in it
#SBATCH --open-mode=append                      # keep the log when the job is queued again
# A variable that is not set is an error. The command runs in this folder, which must be the same on every machine.
set -u
cd -- /shared/work || exit 1
# The exit code is written to this file, for `videoar status`.
left=jobs/${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID.code
rm -f -- "$left"

# The command. Relative paths are resolved in the folder above.
command=(v/bin/python -m videoar.cluster.entry data run debug --output s3://bucket/shards --part "$SLURM_ARRAY_TASK_ID/16")

# Without srun the signal below reaches only this process, not the processes that it starts (Ray's, decoders).
saved=
"${command[@]}" &
step=$!

# The signal comes before the time limit. The command finishes its step, saves and returns 75. `wait` returns early then.
trap 'kill -USR1 "$step" 2>/dev/null' USR1 TERM
while kill -0 "$step" 2>/dev/null; do wait "$step"; done
wait "$step"
code=$?
if [ "$code" -eq 0 ] && [ -e "$saved" ]; then code=75; fi

# Only after 75 is the job queued again; Slurm ends this script while it sleeps. A cancelled job is not queued again: its
# state is not RUNNING any more, but Slurm would still queue it. The last time the script returns 1, because with an
# administrator's RequeueExit=75 Slurm would queue the job for ever.
why="not queued again (20 times at most): submit it again, or raise --requeues"
if [ "$code" -eq 75 ]; then
    if [[ "$(scontrol show job --oneliner "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID") " != *" JobState=RUNNING "* ]]; then
        why="cancelled: submit the same command again to resume"
    elif [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
        trap - USR1 TERM
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 300
    fi
fi

# For `videoar status`, also where Slurm forgets a job soon after its end.
echo "$code" >"$left"
if [ "$code" -eq 75 ]; then
    echo "saved, and $why" >&2
    exit 1
fi
exit "$code"

# jobs/debug-data-run.sh would be sent by: sbatch --parsable jobs/debug-data-run.sh
