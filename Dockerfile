# VideoAR in the versions of constraints.txt, with every extra that runs need (Docker 23 or newer, Podman or Buildah).
#   CPU:   docker build --tag videoar:cpu .
#   CUDA:  docker build --tag videoar:cuda --build-arg DEVICE=cuda .   (PyTorch's wheels bring CUDA; the host brings the driver)
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" --shm-size 1g videoar:cpu doctor   (for GPUs: --gpus all)
# Where these servers are not reached, mirrors are named by --build-arg BASE=, PIP_INDEX_URL= and TORCH_INDEX=.
ARG BASE=python:3.11-slim

FROM $BASE AS wheel
ARG PIP_INDEX_URL
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM $BASE
# torch.compile and DeepSpeed's operators are compiled when they are first used.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/videoar
ARG DEVICE=cpu
ARG PIP_INDEX_URL
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt pyproject.toml ./
# PyPI's PyTorch has CUDA. That index is asked for nothing else: it has no other package in our versions.
RUN if [ "$DEVICE" = cpu ]; then \
      pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" --constraint constraints.txt torch \
      || { echo "TORCH_INDEX=$TORCH_INDEX has no PyTorch for us: name a mirror of it, or build with DEVICE=cuda, which runs on CPUs too and is larger" >&2; exit 1; }; \
    fi
# The requirements have a layer of their own, which stays when only the source changes.
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['data'], *extras['train'], *extras['tensorboard'], *extras['plot'], sep='\n')" > requirements.txt \
 && pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-cache-dir --no-deps /wheel/*.whl
# Libraries keep caches in the home folder, and a user of `docker run --user` has none.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["videoar"]
CMD ["--help"]
