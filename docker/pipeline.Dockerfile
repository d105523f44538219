# Everything from prices to published ranks: Airflow's api-server, scheduler, dag-processor, triggerer and workers
# are all this one image; the command decides. Built by scripts/images.sh, or from the project's root:
# docker build -f docker/pipeline.Dockerfile -t bist-pipeline:0.1.0 .
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
COPY locks/tools.lock locks/containers.lock locks/
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes -r locks/tools.lock \
 && python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/uv pip install --python /opt/venv --no-deps --require-hashes --compile-bytecode \
    --only-binary :all: --no-binary mysqlclient --build-constraints locks/tools.lock -r locks/containers.lock
# src/serving and src/bist_pipeline/sql are links to these folders, and are copied as links.
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY serving/ serving/
COPY sql/ sql/
COPY src/ src/
RUN /opt/tools/bin/uv pip install --python /opt/venv --no-deps --compile-bytecode \
    --build-constraints locks/tools.lock .

# Compiled loops, for processors like the builder's; on another kind they are compiled anew, into /tmp.
FROM build AS compiled
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY docker/warm_up.py /build/
RUN NUMBA_CACHE_DIR=/var/cache/numba /opt/venv/bin/python /build/warm_up.py

# What the environment holds, with licences: a CycloneDX list, which images.sh sbom takes out of the image.
FROM build AS described
COPY locks/sbom.lock locks/
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --require-hashes --only-binary :all: -r locks/sbom.lock \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /build/sbom.json /opt/venv/bin/python

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bist_pipeline" \
      org.opencontainers.image.description="Ranks Borsa Istanbul shares every session: Airflow and the pipeline" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND BUSL-1.1"
# libgomp1: LightGBM's wheel uses the system's OpenMP. The folders become volumes that the user can write to;
# all else that is written goes to /tmp, so that the root file system can be read-only.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --create-home bist \
 && install -d -o bist -g bist /var/log/airflow /var/lib/bist
COPY --from=compiled /opt/venv /opt/venv
COPY --from=described /build/sbom.json /opt/bist/
COPY --from=compiled --chown=10001:10001 /var/cache/numba /var/cache/numba
COPY dags/ /opt/bist/dags/
COPY plugins/ /opt/bist/plugins/
COPY docker/*.py docker/*.sh /opt/bist/bin/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    BIST_HOME=/var/lib/bist BIST_LOG_FORMAT=json \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib \
    AIRFLOW_HOME=/tmp/airflow \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/log/airflow \
    AIRFLOW__LOGGING__JSON_LOGS=true \
    AIRFLOW__LOGGING__COLORED_CONSOLE_LOG=false \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/bist/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/bist/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    DO_NOT_TRACK=true \
    MLFLOW_DISABLE_TELEMETRY=true \
    GIT_PYTHON_REFRESH=quiet
WORKDIR /tmp
USER 10001
# For the api-server; the other services' tests are in docker-compose.yaml.
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=5 \
    CMD ["python", "/opt/bist/bin/is_healthy.py", "http://127.0.0.1:8080/api/v2/monitor/health"]
ENTRYPOINT ["/opt/bist/bin/start.sh"]
CMD ["bist", "--help"]
