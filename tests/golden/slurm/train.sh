#!/usr/bin/env bash
# t2v_4b-train: videoar train
# Made by `videoar submit`. Change what you like, and send it from /shared/work with: sbatch jobs/t2v_4b-train.sh
#SBATCH --job-name=t2v_4b-train            # name in squeue and of the log
#SBATCH --nodes=8                          # machines
#SBATCH --ntasks-per-node=1                # one agent on each, which starts the processes
#SBATCH --gpus-per-node=8                  # GPUs of each machine: one process each
#SBATCH --cpus-per-task=96                 # CPU cores of each machine
#SBATCH --time=48:00:00                    # after this time Slurm ends the job
#SBATCH --signal=B:USR1@300                # seconds before that, this script tells the command to save
#SBATCH --requeue                          # queue it again after a machine has failed
#SBATCH --output=jobs/t2v_4b-train-%j.log  # stdout and stderr; %j is the number of the job
#SBATCH --open-mode=append                 # keep the log when the job is queued again
#SBATCH --partition=h200                   # as you asked
#SBATCH --account=video                    # as you asked
#SBATCH --qos=high                         # as you asked
#SBATCH --exclusive                        # as you asked (--flags)
#SBATCH --mem=0                            # as you asked (--flags)
# A variable that is not set is an error. The command runs in this folder, which must be the same on every machine.
set -u
cd -- /shared/work || exit 1
# The exit code is written to this file, for `videoar status`.
left=jobs/$SLURM_JOB_ID.code
rm -f -- "$left"

# Variables. Those without a value here come from the shell that submits: no secret is in this file.
: "${WANDB_API_KEY:?is not set: export it in the shell that submits}"
HF_TOKEN=$(<'/shared/.hf token') || exit 1; export HF_TOKEN
export NCCL_DEBUG=WARN

# The command. Relative paths are resolved in the folder above.
command=(/shared/venv/bin/python -m videoar.cluster.entry train t2v_4b@64 --run /shared/4b --doctor --processes 8)

# srun starts the command once on every machine; they meet at the first one, whose address srun gives them. srun ends all
# machines when one returns anything but 0, and returns the highest code. So 75 becomes a file and 0: a machine that is
# still saving is not ended, and 75 does not hide that another machine failed.
saved=jobs/$SLURM_JOB_ID.saved
rm -f -- "$saved"
# shellcheck disable=SC2016 # bash on each machine expands it
task='trap : USR1 TERM; "$@"; code=$?; if [ "$code" -eq 75 ]; then : >"$0"; code=0; fi; exit "$code"'
srun --ntasks-per-node=1 --kill-on-bad-exit=1 --cpus-per-task=96 bash -c "$task" "$saved" "${command[@]}" &
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
    if [[ "$(scontrol show job --oneliner "$SLURM_JOB_ID") " != *" JobState=RUNNING "* ]]; then
        why="cancelled: submit the same command again to resume"
    elif [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
        trap - USR1 TERM
        scontrol requeue "$SLURM_JOB_ID" && sleep 300
    fi
fi

# For `videoar status`, also where Slurm forgets a job soon after its end.
echo "$code" >"$left"
if [ "$code" -eq 75 ]; then
    echo "saved, and $why" >&2
    exit 1
fi
exit "$code"

# jobs/t2v_4b-train.sh would be sent by: sbatch --parsable jobs/t2v_4b-train.sh
