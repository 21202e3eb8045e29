\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
CREATE TABLE IF NOT EXISTS planes (
  tailnum text, year integer, type text, manufacturer text, model text, engines integer, seats integer, speed integer,
  engine text
);
CREATE TABLE IF NOT EXISTS flights (
  year integer, month integer, day integer, dep_time integer, sched_dep_time integer, dep_delay integer,
  arr_time integer, sched_arr_time integer, arr_delay integer, carrier text, flight integer, tailnum text, origin text,
  dest text, air_time integer, distance integer, hour integer, minute integer, time_hour timestamptz
);
TRUNCATE planes, flights;
\copy planes FROM /data/planes.csv (FORMAT csv, HEADER, NULL 'NA')
\copy flights FROM /data/flights.csv (FORMAT csv, HEADER, NULL 'NA')
COMMIT;
