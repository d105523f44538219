"""Create the databases and their users, each with the least rights it needs. Safe to repeat.

Connects as root; run by init.sh, before any migration. A password changed in .env is changed here too.
"""

import os
import sys
import time

import MySQLdb

READ = "SELECT"
WRITE = "SELECT, INSERT, UPDATE, DELETE"
# Airflow and MLflow migrate their own tables; ours are migrated by root, in init.sh.
OWN = "ALL PRIVILEGES"
# User, database, rights, and the variable with the password.
USERS = [
    ("bist", "bist", WRITE, "BIST_DB_PASSWORD"),
    ("bist_api", "bist", READ, "BIST_API_DB_PASSWORD"),
    ("airflow", "airflow", OWN, "AIRFLOW_DB_PASSWORD"),
    ("mlflow", "mlflow", OWN, "MLFLOW_DB_PASSWORD"),
]
PATIENCE_S = 120


def connect() -> MySQLdb.Connection:
    """Connect as root; a server that is still starting is waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return MySQLdb.connect(host="mysql", user="root", password=os.environ["MYSQL_ROOT_PASSWORD"])
        except MySQLdb.OperationalError as error:
            if time.monotonic() > deadline:
                sys.exit(f"error: MySQL does not let root in after {PATIENCE_S} s: {error}")
            time.sleep(2)


cursor = connect().cursor()
for user, database, rights, variable in USERS:
    password = os.environ[variable]
    cursor.execute(
        f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
    )
    cursor.execute(f"CREATE USER IF NOT EXISTS '{user}'@'%%' IDENTIFIED BY %s", (password,))
    cursor.execute(f"ALTER USER '{user}'@'%%' IDENTIFIED BY %s", (password,))
    cursor.execute(f"GRANT {rights} ON {database}.* TO '{user}'@'%'")
    print(f"{user}: {rights} on {database}")  # noqa: T201 (the log of the one-shot service)
