# srun starts the command once on every machine; they meet at the first one, whose address srun gives them. srun ends all
# machines when one returns anything but 0, and returns the highest code. So 75 becomes a file and 0: a machine that is
# still saving is not ended, and 75 does not hide that another machine failed.
saved={{jobs}}/$SLURM_JOB_ID.saved
rm -f -- "$saved"
# shellcheck disable=SC2016 # bash on each machine expands it
task='trap : USR1 TERM; "$@"; code=$?; if [ "$code" -eq 75 ]; then : >"$0"; code=0; fi; exit "$code"'
srun {{options}} bash -c "$task" "$saved" "${command[@]}" &
step=$!
