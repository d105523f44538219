# MySQL where the official image cannot be had: Debian's server, unpacked by scripts/get_mysql.sh into tree/.
# For `make containers-test` only: it listens on 127.0.0.1, and is started through the C library it was built with.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
RUN useradd mysql
COPY tree/ /opt/mysql/
COPY mysql.sh /opt/mysql/run.sh
RUN for name in mysqld mysql mysqladmin mysqldump; do ln -s /opt/mysql/run.sh "/usr/local/bin/$name"; done
ENTRYPOINT ["mysqld"]
