#!/usr/bin/env bash
# Writes .env with a new secret for everything in docker-compose.yaml that needs one. Called by `make secrets`.
# Never overwrites: the databases remember the old ones. What a newer version needs besides is added.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
touch .env.new

# Hexadecimal stands in a URL without quoting; 64 characters are what Airflow's tokens (SHA-512) want.
secret() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# Fernet wants 32 bytes in URL-safe base64.
fernet() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
[ -e .env ] && cat .env >.env.new ||
    echo "# Secrets of docker-compose.yaml, made by \`make secrets\`. Keep a copy in a safe place, and out of git." >.env.new
added=()
for name in MYSQL_ROOT_PASSWORD BIST_DB_PASSWORD BIST_API_DB_PASSWORD AIRFLOW_DB_PASSWORD MLFLOW_DB_PASSWORD \
    AIRFLOW_ADMIN_PASSWORD AIRFLOW_API_SECRET_KEY AIRFLOW_JWT_SECRET AIRFLOW_FERNET_KEY \
    MLFLOW_ADMIN_PASSWORD MLFLOW_BIST_PASSWORD MLFLOW_SECRET_KEY REDIS_PASSWORD; do
    if grep -q "^$name=." .env.new; then continue; fi
    if [ "$name" = AIRFLOW_FERNET_KEY ]; then value=$(fernet); else value=$(secret); fi
    echo "$name=$value" >>.env.new
    added+=("$name")
done
if [ ${#added[@]} = 0 ]; then
    rm .env.new
    echo "error: .env exists and was left as it is: the databases know its passwords." >&2
    echo "       To start anew, data included: docker compose down --volumes && rm .env && make secrets" >&2
    exit 1
fi
if [ -e .env ]; then echo "==> .env: kept, and added: ${added[*]}" >&2; fi
mv .env.new .env
echo "==> .env holds every secret. User admin: AIRFLOW_ADMIN_PASSWORD in Airflow, MLFLOW_ADMIN_PASSWORD in MLflow" >&2
