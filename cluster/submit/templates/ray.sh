#!/usr/bin/env bash
# {{title}}
# Made by `videoar submit`. {{where}}
# The folder must be the same there: one on a file system that they share.
set -u
cd -- {{folder}} || exit 1

{{environment}}# The command. Relative paths begin in the folder above.
exec {{command}}
