"""Give Airflow's user `admin` the password of .env. Run by init.sh; safe to repeat."""

import os
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def set_password(password: str) -> None:
    """Create the user, or change its password."""
    with get_application_builder() as builder:
        users = builder.sm
        if user := users.find_user("admin"):
            is_done = users.reset_password(user.id, password)
        else:
            role = users.find_role("Admin")
            is_done = users.add_user("admin", "Admin", "of bist", "admin@localhost", role, password)
    if not is_done:
        sys.exit("error: Airflow refused its user admin; see the lines above.")


set_password(os.environ["AIRFLOW_ADMIN_PASSWORD"])
