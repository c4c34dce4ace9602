# The project's image: every room and the Kubeflow pipeline, with all weights inside.
#
#   make image                    the CPU image, darkroom:latest
#   make image TARGET=gpu         the same with TensorFlow's CUDA libraries, darkroom:gpu
#   make image TARGET=jax         the same with JAX on CUDA, for several machines, darkroom:jax
#
# Layers go from what changes least to what changes most: a change of code rebuilds the last, small
# ones. Nothing is downloaded or installed when it runs.
ARG BASE=python:3.11-slim

# --- what builds: not part of the image ------------------------------------------------------
FROM ${BASE} AS builder
WORKDIR /build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils \
 && python3 -m venv --without-pip /opt/darkroom
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/slim.sh .

FROM builder AS packages-cpu
COPY requirements/image.lock .
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r image.lock \
 && sh slim.sh /opt/darkroom

# --- what runs -------------------------------------------------------------------------------
FROM ${BASE} AS runtime
# git reads a revision of a DVC project.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* \
 && useradd --uid 10001 --gid 0 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin darkroom
# Whatever a library wants to keep goes to /tmp: the root file system may be read-only.
ENV PATH=/opt/darkroom/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    KERAS_HOME=/tmp/keras \
    TF_CPP_MIN_LOG_LEVEL=2 \
    DVC_NO_ANALYTICS=1 \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /app

FROM runtime AS cpu
COPY --from=packages-cpu /opt/darkroom /opt/darkroom
COPY params.yaml /app/
COPY pipelines /app/pipelines
COPY components /app/components
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV DARKROOM_GIT_COMMIT=${COMMIT}
USER 10001:0

# --- the same with CUDA ----------------------------------------------------------------------
FROM builder AS packages-gpu
COPY requirements/gpu.lock .
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r gpu.lock \
 && sh slim.sh /opt/darkroom

FROM runtime AS gpu
COPY --from=packages-gpu /opt/darkroom /opt/darkroom
COPY params.yaml /app/
COPY pipelines /app/pipelines
COPY components /app/components
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV DARKROOM_GIT_COMMIT=${COMMIT}
USER 10001:0

# --- with JAX on CUDA, for the nodes of a TrainJob ---------------------------------------------
FROM builder AS packages-jax
COPY requirements/jax.lock .
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r jax.lock \
 && sh slim.sh /opt/darkroom

FROM runtime AS jax
COPY --from=packages-jax /opt/darkroom /opt/darkroom
COPY params.yaml /app/
COPY pipelines /app/pipelines
COPY components /app/components
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV DARKROOM_GIT_COMMIT=${COMMIT}
USER 10001:0

# `docker build .` without a target makes the CPU image.
FROM cpu
