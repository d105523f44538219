"""Service `mlflow`: brings its tables and its two users up to date, then becomes the server.

`admin` is for people, `bist` for the pipeline, which owns what it registers. A password changed in .env is
changed here too. Who has a login may read everything.
"""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, inspect

# Users are in a SQLite file: MLflow's tables for them cannot be made in MySQL, where a database knows each
# name of a foreign key once, and MLflow uses one for several. It lies beside what clients may fetch.
HOME = Path("/var/lib/mlflow")
users_url = f"sqlite:///{HOME}/users.db"
database = os.environ["MLFLOW_BACKEND_STORE_URI"]
Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]).write_text(
    f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {users_url}\nadmin_username = admin\n"
)

# It reads that file while it is imported.
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore  # noqa: E402

users = SqlAlchemyStore()
users.init_db(users_url)
for name, password, is_admin in (
    ("admin", os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"], True),
    ("bist", os.environ.pop("MLFLOW_BIST_PASSWORD"), False),
):
    if users.has_user(name):
        users.update_user(name, password=password)
    else:
        users.create_user(name, password, is_admin=is_admin)
users.engine.dispose()

# In an empty database the server makes its tables itself; those of an older version it would refuse.
engine = create_engine(database)
is_new = not inspect(engine).has_table("experiments")
engine.dispose()
if not is_new:
    subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", database], check=True)  # noqa: S603

# Requests that name another host are refused: a page of another site cannot use the browser of a user.
hosts = os.environ.get("MLFLOW_ALLOWED_HOSTS", "mlflow:5000,localhost:5000,127.0.0.1:5000")
command = [sys.executable, "-m", "mlflow", "server", "--app-name=basic-auth", "--workers=1"]
command += [f"--host={os.environ.get('MLFLOW_LISTEN', '0.0.0.0')}", f"--allowed-hosts={hosts}"]  # noqa: S104
command += [f"--artifacts-destination={HOME}/artifacts"]
os.execv(sys.executable, command)  # noqa: S606
