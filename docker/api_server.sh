#!/usr/bin/env bash
# Service `airflow-api-server`: gives the simple auth manager its password file, then becomes the server.
set -euo pipefail
umask 077
printf '{"admin": "%s"}\n' "$AIRFLOW_ADMIN_PASSWORD" >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
exec airflow api-server
