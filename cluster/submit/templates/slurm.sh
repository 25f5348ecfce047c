#!/usr/bin/env bash
# {{title}}
# Made by `videoar submit`. Change what you like, and send it from {{folder}} with: sbatch {{path}}
{{directives}}
# A variable that is not set is an error. The command runs in this folder, which must be the same on every machine.
set -u
cd -- {{folder}} || exit 1
# The exit code is written to this file, for `videoar status`.
left={{jobs}}/{{number}}.code
rm -f -- "$left"

{{environment}}# The command. Relative paths are resolved in the folder above.
command=({{command}})

{{start}}

# The signal comes before the time limit. The command finishes its step, saves and returns 75. `wait` returns early then.
trap 'kill -USR1 "$step" 2>/dev/null' USR1 TERM
while kill -0 "$step" 2>/dev/null; do wait "$step"; done
wait "$step"
code=$?
if [ "$code" -eq 0 ] && [ -e "$saved" ]; then code=75; fi

# Only after 75 is the job queued again; Slurm ends this script while it sleeps. A cancelled job is not queued again: its
# state is not RUNNING any more, but Slurm would still queue it. The last time the script returns 1, because with an
# administrator's RequeueExit=75 Slurm would queue the job for ever.
why="not queued again ({{requeues}} times at most): submit it again, or raise --requeues"
if [ "$code" -eq 75 ]; then
    if [[ "$(scontrol show job --oneliner "{{number}}") " != *" JobState=RUNNING "* ]]; then
        why="cancelled: submit the same command again to resume"
    elif [ "${SLURM_RESTART_COUNT:-0}" -lt {{requeues}} ]; then
        trap - USR1 TERM
        scontrol requeue "{{number}}" && sleep 300
    fi
fi

# For `videoar status`, also where Slurm forgets a job soon after its end.
echo "$code" >"$left"
if [ "$code" -eq 75 ]; then
    echo "saved, and $why" >&2
    exit 1
fi
exit "$code"
