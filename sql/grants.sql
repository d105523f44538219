-- Rights of the two users of the predictions database on MySQL and MariaDB: the pipeline writes, the API only reads.
--
-- Run by the database's owner, who also runs the migrations (bist db upgrade), once these exist:
--   CREATE DATABASE bist CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
--   CREATE USER 'bist'@'%' IDENTIFIED BY '…';
--   CREATE USER 'bist_api'@'%' IDENTIFIED BY '…';
-- docker/prepare_databases.py does all of it. One statement a line, as that file reads them.
-- Temporary tables: a large batch is staged in one.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON bist.* TO 'bist'@'%';
GRANT SELECT ON bist.* TO 'bist_api'@'%';
