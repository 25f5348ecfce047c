"""Two floors: the roof (cli, entry) starts jobs and knows every recipe; the ground (errors, process, preemption) imports nothing of ours."""
