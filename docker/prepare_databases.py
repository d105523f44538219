"""Create the databases and their users, each with the least rights it needs. Safe to repeat.

Connects as root; run by init.sh, before any migration. A password changed in .env is changed here too.
"""

import os
import sys
import time
from importlib.resources import files

import MySQLdb

from bist_pipeline.store.schema import COLLATION

# Ours compares text byte by byte, as its tables say; Airflow and MLflow state no collation and get this one.
COLLATIONS = {"bist": COLLATION, "airflow": "utf8mb4_unicode_ci", "mlflow": "utf8mb4_unicode_ci"}
# Users, each with the variable that holds the password.
USERS = {
    "bist": "BIST_DB_PASSWORD",
    "bist_api": "BIST_API_DB_PASSWORD",
    "airflow": "AIRFLOW_DB_PASSWORD",
    "mlflow": "MLFLOW_DB_PASSWORD",
}
# Airflow and MLflow migrate their own tables; ours are migrated by root, in init.sh.
GRANTS = [
    *files("bist_pipeline.sql").joinpath("grants.sql").read_text(encoding="utf-8").splitlines(),
    "GRANT ALL PRIVILEGES ON airflow.* TO 'airflow'@'%'",
    "GRANT ALL PRIVILEGES ON mlflow.* TO 'mlflow'@'%'",
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
for database, collation in COLLATIONS.items():
    wanted = f"DATABASE {{}} {database} CHARACTER SET utf8mb4 COLLATE {collation}"
    cursor.execute("CREATE " + wanted.format("IF NOT EXISTS"))
    cursor.execute("ALTER " + wanted.format(""))  # one that an older version of this file created
for user, variable in USERS.items():
    password = os.environ[variable]
    cursor.execute(f"CREATE USER IF NOT EXISTS '{user}'@'%%' IDENTIFIED BY %s", (password,))
    cursor.execute(f"ALTER USER '{user}'@'%%' IDENTIFIED BY %s", (password,))
for statement in GRANTS:
    if statement.startswith("GRANT"):
        cursor.execute(statement)
        print(statement)  # noqa: T201 (the log of the one-shot service)
