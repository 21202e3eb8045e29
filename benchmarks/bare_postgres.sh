#!/usr/bin/env bash
# The bare way: COPY … TO STDOUT, piped into a DuckDB process that loads it typed and unchecked.
# Arguments: psql, the URL of the server, python, bare.py, the database to write. The password is in PGPASSWORD.
set -euo pipefail
"$1" --no-psqlrc --quiet "$2" -c "COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT csv, HEADER)" | "$3" "$4" /dev/stdin "$5"
