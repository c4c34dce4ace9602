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
FROM ${BASE} AS packages
WORKDIR /build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils \
 && python3 -m venv --without-pip /opt/darkroom
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/slim.sh .
# The images differ in their packages alone: image.lock, gpu.lock or jax.lock of requirements/.
ARG LOCK=image
COPY requirements/${LOCK}.lock app.lock
RUN python3 -m pip --python /opt/darkroom/bin/python install --require-hashes -r app.lock \
 && sh slim.sh /opt/darkroom

# --- what is in it: a list in CycloneDX's form (SBOM), by a tool that is not in it -------------
FROM ${BASE} AS tools
COPY requirements/tools.lock .
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes -r tools.lock

FROM packages AS sbom
COPY --from=tools /opt/tools /opt/tools
RUN /opt/tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /build/sbom.json \
      /opt/darkroom/bin/python

# --- what runs -------------------------------------------------------------------------------
FROM ${BASE}
# git reads a revision of a DVC project. A shell stays: Kubeflow starts Python components by `sh`.
RUN apt-get update -qq && apt-get upgrade -y -qq \
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
COPY --from=packages /opt/darkroom /opt/darkroom
COPY --from=sbom /build/sbom.json /opt/darkroom/
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
