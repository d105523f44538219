#!/bin/bash
# Runs the program it is called as; as `mysqld` it first makes the data folder, with the root user of the official image.
set -euo pipefail
tree=/opt/mysql
libraries=$tree/usr/lib/x86_64-linux-gnu
name=$(basename "$0")
program=$tree/usr/bin/$name
[ "$name" != mysqld ] || program=$tree/usr/sbin/mysqld
run=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$tree/usr/lib/mysql/private" "$program" --no-defaults)
[ "$name" = mysqld ] || exec "${run[@]}" "$@"

run+=(--user=mysql --basedir="$tree/usr" --datadir=/var/lib/mysql/data --socket=/tmp/mysql.sock --pid-file=/tmp/pid)
run+=(--lc-messages-dir="$tree/usr/share/mysql" --character-sets-dir="$tree/usr/share/mysql/charsets")
run+=(--secure-file-priv=NULL)
first=()
if [ ! -d /var/lib/mysql/data ]; then
    chown mysql /var/lib/mysql
    "${run[@]}" --initialize-insecure
    printf "ALTER USER 'root'@'localhost' IDENTIFIED BY '%s';
        CREATE USER 'root'@'%%' IDENTIFIED BY '%s';
        GRANT ALL ON *.* TO 'root'@'%%' WITH GRANT OPTION;" "$MYSQL_ROOT_PASSWORD" "$MYSQL_ROOT_PASSWORD" >/tmp/first.sql
    first=(--init-file=/tmp/first.sql)
fi
exec "${run[@]}" "${first[@]}" --bind-address=127.0.0.1 --mysqlx=OFF --innodb-buffer-pool-size=256M "$@"
