# Without srun the signal below reaches only this process, not the processes that it starts (Ray's, decoders).
saved=
"${command[@]}" &
step=$!
