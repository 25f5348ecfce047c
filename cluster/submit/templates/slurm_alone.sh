# Without srun the signal below reaches this process only, and not those that it starts (Ray's, decoders).
saved=
"${command[@]}" &
step=$!
