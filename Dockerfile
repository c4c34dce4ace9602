# The project's image: every room and the Kubeflow pipeline, with all weights inside.
#
#   make image                    the CPU image, darkroom:<version>
#   make image TARGET=gpu         the same with TensorFlow's CUDA libraries
#
# Layers go from what changes least to what changes most: a change of code rebuilds two small
# COPY layers. Nothing is downloaded or installed when it runs.
ARG BASE=python:3.11-slim

# --- what builds -----------------------------------------------------------------------------
FROM ${BASE} AS builder
WORKDIR /build
RUN python3 -m venv --without-pip /opt/darkroom
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# TensorFlow's headers and every package's tests serve nobody at run time.
FROM builder AS packages-cpu
COPY requirements/image.lock .
COPY requirements/slim.sh .
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r image.lock \
 && sh slim.sh /opt/darkroom

FROM builder AS packages-gpu
COPY requirements/gpu.lock .
COPY requirements/slim.sh .
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r gpu.lock \
 && sh slim.sh /opt/darkroom

# --- what runs -------------------------------------------------------------------------------
FROM ${BASE} AS runtime
# git reads a DVC project's revision; its packages are removed from the cache of the same layer.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* \
 && useradd --uid 10001 --gid 0 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin darkroom
ENV PATH=/opt/darkroom/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    # Whatever a library wants to keep goes to /tmp: the root file system may be read-only.
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    KERAS_HOME=/tmp/keras \
    TF_CPP_MIN_LOG_LEVEL=2 \
    DVC_NO_ANALYTICS=1 \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /app

FROM runtime AS gpu
COPY --from=packages-gpu /opt/darkroom /opt/darkroom
COPY pipelines /app/pipelines
COPY components /app/components
COPY params.yaml /app/
ARG COMMIT=unknown VERSION=unknown
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV DARKROOM_GIT_COMMIT=${COMMIT}
USER 10001:0

# The last target is what `docker build .` makes.
FROM runtime AS cpu
COPY --from=packages-cpu /opt/darkroom /opt/darkroom
COPY pipelines /app/pipelines
COPY components /app/components
COPY params.yaml /app/
ARG COMMIT=unknown VERSION=unknown
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV DARKROOM_GIT_COMMIT=${COMMIT}
USER 10001:0
