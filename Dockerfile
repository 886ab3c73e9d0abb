# The images that isobench runs as on a cluster: targets `operator` and `worker`; `make images` builds them.
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS base
RUN apt-get update --quiet=2 \
    && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/*

FROM base AS build
RUN apt-get update --quiet=2 \
    && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends python3-venv
COPY requirements/bootstrap.txt /src/requirements/
RUN python3 -m venv /build && /build/bin/pip install --quiet --require-hashes -r /src/requirements/bootstrap.txt
ENV UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    VIRTUAL_ENV=/opt/isobench PATH=/build/bin:$PATH
RUN python3 -m venv --without-pip /opt/isobench

FROM build AS package
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
RUN cd /src && hatchling build --target wheel --directory /wheel
RUN uv pip install --quiet --no-cache --no-deps /wheel/*.whl
# What a change of the code changes, as a layer of its own on the dependencies.
RUN mkdir /own && cd /opt/isobench && cp --parents --recursive lib/python3*/site-packages/isobench* bin/isobench* /own

FROM build AS operator-dependencies
COPY requirements/operator.txt /src/requirements/
RUN uv pip install --quiet --no-cache --require-hashes -r /src/requirements/operator.txt

FROM build AS worker-dependencies
COPY requirements/worker.txt /src/requirements/
RUN uv pip install --quiet --no-cache --require-hashes -r /src/requirements/worker.txt

FROM base AS operator
COPY --from=operator-dependencies /opt/isobench /opt/isobench
COPY --from=package /own /opt/isobench
ENV PATH=/opt/isobench/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
ENTRYPOINT ["isobench-operator"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="isobench-operator" \
      org.opencontainers.image.description="Turns performance commits into verified benchmark records: the operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS worker
RUN apt-get update --quiet=2 \
    && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/*
COPY --from=worker-dependencies /opt/isobench /opt/isobench
COPY --from=package /own /opt/isobench
ENV PATH=/opt/isobench/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/scratch
USER 10001:10001
ENTRYPOINT ["isobench-worker"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="isobench-worker" \
      org.opencontainers.image.description="Turns performance commits into verified benchmark records: what pods run" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
