#!/usr/bin/env bash
# Writes .env with a new secret for everything in docker-compose.yaml that needs one. Called by `make secrets`.
# Never overwrites: the databases remember the old ones.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077

if [ -e .env ]; then
    echo "error: .env exists and was left as it is: the databases know its passwords." >&2
    echo "       To start anew, data included: docker compose down --volumes && rm .env && make secrets" >&2
    exit 1
fi
# Hexadecimal stands in a URL without quoting; 64 characters are what Airflow's tokens (SHA-512) want.
secret() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
{
    echo "# Secrets of docker-compose.yaml, made by \`make secrets\`. Keep a copy in a safe place, and out of git."
    for name in MYSQL_ROOT_PASSWORD BIST_DB_PASSWORD BIST_API_DB_PASSWORD AIRFLOW_DB_PASSWORD MLFLOW_DB_PASSWORD \
        AIRFLOW_ADMIN_PASSWORD AIRFLOW_API_SECRET_KEY AIRFLOW_JWT_SECRET; do
        echo "$name=$(secret)"
    done
    # Fernet wants 32 bytes in URL-safe base64.
    echo "AIRFLOW_FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
} >.env.new
mv .env.new .env
echo "==> .env written. Airflow's user is admin; its password: AIRFLOW_ADMIN_PASSWORD in .env" >&2
