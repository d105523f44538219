# The MLflow server: experiments, registered models, and their files. Neither Airflow nor the pipeline is inside.
# Built by scripts/images.sh, or from the project's root: docker build -f docker/mlflow.Dockerfile -t bist-mlflow:0.1.0 .
# BASE_IMAGE: any Debian with Python 3.11 or 3.12, the same for both stages.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# mysqlclient has no wheel for Linux. python3-dev is for a base with Debian's own Python.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config python3-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# pip and uv trust what the system trusts: who builds behind a proxy mounts its bundle here.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /build
COPY locks/tools.lock locks/mlflow.lock locks/
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes -r locks/tools.lock \
 && python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/uv pip install --python /opt/venv --no-deps --require-hashes --compile-bytecode \
    --only-binary :all: --no-binary mysqlclient --build-constraints locks/tools.lock -r locks/mlflow.lock

# What the environment holds, with licences: a CycloneDX list, which images.sh sbom takes out of the image.
FROM build AS described
COPY locks/sbom.lock locks/
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --require-hashes --only-binary :all: -r locks/sbom.lock \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /build/sbom.json /opt/venv/bin/python

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bist_pipeline mlflow" \
      org.opencontainers.image.description="MLflow server of bist_pipeline, with logins" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --create-home bist \
 && install -d -o bist -g bist /var/lib/mlflow
COPY --from=build /opt/venv /opt/venv
COPY --from=described /build/sbom.json /opt/bist/
COPY docker/is_healthy.py docker/mlflow_server.py /opt/bist/bin/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp \
    DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true GIT_PYTHON_REFRESH=quiet \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
WORKDIR /tmp
USER 10001
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=5 \
    CMD ["python", "/opt/bist/bin/is_healthy.py", "http://127.0.0.1:5000/health"]
CMD ["python", "/opt/bist/bin/mlflow_server.py"]
