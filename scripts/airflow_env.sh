# Sourced, from the project's root: makes `airflow` mean this project's own, private one under var/airflow.
# Its generated secrets are in var/airflow/airflow.cfg, which Airflow creates readable by its owner only.

# Settings of another Airflow must not leak in: `airflow db migrate` would change that one's database.
unset "${!AIRFLOW_@}" PYTHONDONTWRITEBYTECODE
PATH=$PWD/.venv/bin:$PATH
AIRFLOW_HOME=$(realpath -m "${BIST_HOME:-var}")/airflow
logs=${AIRFLOW_HOME%/*}/logs
mkdir -p -m 700 "$AIRFLOW_HOME"

# Places are repeated here because airflow.cfg remembers where the project lay when it was created.
# SQLite waits 5 s for other writers unless told otherwise: too short on a busy machine.
export PATH AIRFLOW_HOME \
    AIRFLOW__CORE__DAGS_FOLDER=$PWD/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=$PWD/plugins \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=$logs/tasks \
    AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY=$logs/dag-processor \
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:///$AIRFLOW_HOME/airflow.db?timeout=60 \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    AIRFLOW__CORE__HOSTNAME_CALLABLE=socket.gethostname \
    AIRFLOW__API__HOST=127.0.0.1
