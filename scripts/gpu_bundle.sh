#!/usr/bin/env bash
# Collects in .whl/ the wheels that `scripts/on_gpu.sh` installs on a GPU machine without network.
#
# That machine has Linux x86-64, CPython 3.12, and PyTorch 2.11 with what an image for deep learning brings along:
# triton, transformers, einops, safetensors, jaxtyping, numpy, rich, pyyaml, pyarrow, filelock, psutil, ninja, pytest.
# Versions are those of constraints.txt. The bundle is for training, `videoar bench` and `pytest -m gpu`: Ray, webdataset
# and object storage are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=.whl
LIMIT_MIB=64 # what can be carried at a time

pure=(tyro beartype docstring_parser typeguard hjson pydantic annotated-types typing-inspection)
compiled=(av pydantic_core megatron-core msgpack)
platforms=()
for glibc in 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)

rm -rf "$folder"
mkdir "$folder"
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  "${platforms[@]}" --constraint constraints.txt --dest "$folder" "${pure[@]}" "${compiled[@]}"
# DeepSpeed is published as source; without its compiled operators one wheel serves every Python.
deepspeed=$(grep '^deepspeed==' constraints.txt)
DS_BUILD_OPS=0 "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$folder" "$deepspeed"

size_mib=$(du --summarize --block-size=1M "$folder" | cut -f1)
du --human-readable "$folder"/*.whl | sort --human-numeric-sort
echo "$folder: $size_mib MiB"
if ((size_mib > LIMIT_MIB)); then
  echo "gpu_bundle: more than $LIMIT_MIB MiB; carry $folder in several loads" >&2
fi
