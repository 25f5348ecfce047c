#!/usr/bin/env bash
# {{title}}
# Made by `videoar submit`. {{where}}
# The folder must be the same there: use a file system that the machines share.
set -u
cd -- {{folder}} || exit 1

{{environment}}# The command. Relative paths are resolved in the folder above.
exec {{command}}
