# Everything from prices to published ranks: Airflow's api-server, scheduler, dag-processor and triggerer, and
# for now the MLflow server too, all from this one image; the command decides. An image of MLflow's own comes later.
# Build from the project's root: docker build -f docker/pipeline.Dockerfile -t bist-pipeline:0.1.0 .
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
# serving.lock adds mysqlclient; what else it names is in run.lock at the same versions.
COPY locks/tools.lock locks/run.lock locks/serving.lock locks/
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes -r locks/tools.lock \
 && python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/uv pip install --python /opt/venv --no-deps --require-hashes --compile-bytecode \
    --only-binary :all: --no-binary mysqlclient --build-constraints locks/tools.lock \
    -r locks/run.lock -r locks/serving.lock
# src/serving and src/bist_pipeline/sql are links to these folders, and are copied as links.
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY serving/ serving/
COPY sql/ sql/
COPY src/ src/
RUN /opt/tools/bin/uv pip install --python /opt/venv --no-deps --compile-bytecode \
    --build-constraints locks/tools.lock .

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="bist_pipeline" org.opencontainers.image.licenses="Apache-2.0"
# libgomp1: LightGBM's wheel uses the system's OpenMP. The folders become volumes that the user can write to.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --create-home bist \
 && install -d -o bist -g bist /opt/airflow /opt/airflow/logs /var/lib/bist /var/lib/mlflow
COPY --from=build /opt/venv /opt/venv
COPY dags/ /opt/bist/dags/
COPY plugins/ /opt/bist/plugins/
COPY docker/*.py docker/*.sh /opt/bist/bin/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    BIST_HOME=/var/lib/bist \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/bist/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/bist/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    DO_NOT_TRACK=true \
    MLFLOW_DISABLE_TELEMETRY=true \
    GIT_PYTHON_REFRESH=quiet
WORKDIR /home/bist
USER 10001
CMD ["bist", "--help"]
