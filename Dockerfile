# VideoAR in the versions of constraints.txt, with every extra that runs need.
#   CPU:   docker build --tag videoar:cpu .
#   CUDA:  docker build --tag videoar:cuda --build-arg DEVICE=cuda .   (PyTorch's wheels bring CUDA; the host brings the driver)
#   docker run --rm --shm-size 1g --volume "$PWD:/work" videoar:cpu doctor   (for GPUs: --gpus all)
FROM python:3.11-slim
ARG DEVICE=cpu
# torch.compile and DeepSpeed's operators are compiled when they are first used.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/videoar
COPY pyproject.toml constraints.txt README.md LICENSE __main__.py py.typed ./
COPY benchmarks benchmarks
COPY cluster cluster
COPY configs configs
COPY data_pipeline data_pipeline
COPY pretrain pretrain
COPY tokenizer tokenizer
# 2.x+cpu is a version of 2.x that pip prefers where the index of CPU wheels is named.
RUN if [ "$DEVICE" = cpu ]; then export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu; fi \
 && pip install --no-cache-dir --constraint constraints.txt '.[data,train,tensorboard,plot]' \
 && pip install --no-cache-dir --no-deps --constraint constraints.txt scenedetect
WORKDIR /work
ENTRYPOINT ["videoar"]
CMD ["--help"]
