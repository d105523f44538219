# The REST API and its pages. Nothing of pandas, LightGBM, MLflow or Airflow is inside.
# Built by scripts/images.sh, or from the project's root: docker build -f docker/serving.Dockerfile -t bist-serving:0.1.0 .
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
COPY locks/tools.lock locks/serving.lock locks/
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes -r locks/tools.lock \
 && python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/uv pip install --python /opt/venv --no-deps --require-hashes --compile-bytecode \
    --only-binary :all: --no-binary mysqlclient --build-constraints locks/tools.lock -r locks/serving.lock
# src/serving and src/bist_pipeline/sql are links to these folders, and are copied as links.
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY serving/ serving/
COPY sql/ sql/
COPY src/ src/
RUN /opt/tools/bin/uv pip install --python /opt/venv --no-deps --compile-bytecode \
    --build-constraints locks/tools.lock .

# What the environment holds, with licences: a CycloneDX list, which images.sh sbom takes out of the image.
FROM build AS described
COPY locks/sbom.lock locks/
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --require-hashes --only-binary :all: -r locks/sbom.lock \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /build/sbom.json /opt/venv/bin/python

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bist_pipeline serving" \
      org.opencontainers.image.description="REST API and web pages of bist_pipeline" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --create-home bist
COPY --from=build /opt/venv /opt/venv
COPY --from=described /build/sbom.json /opt/bist/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 BIST_LOG_FORMAT=json
WORKDIR /home/bist
USER 10001
EXPOSE 8000
COPY docker/is_healthy.py /opt/bist/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "/opt/bist/bin/is_healthy.py", "http://127.0.0.1:8000/health/live"]
CMD ["bist", "serve", "--host", "0.0.0.0"]
