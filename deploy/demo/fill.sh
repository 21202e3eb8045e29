#!/bin/sh
# Fills the database with planes and flights, whole or not at all; what is there from an earlier time is replaced.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD
exec psql --no-psqlrc -v ON_ERROR_STOP=1 --host postgres --username postgres --dbname shop --quiet --file /demo/fill.sql
