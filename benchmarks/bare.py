"""The bare way: DuckDB loads a clean lineitem file, typed and unchecked, into a database file. Nothing else."""

import sys

import duckdb

COLUMNS = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "BIGINT",
    "l_quantity": "DECIMAL(12,2)",
    "l_extendedprice": "DECIMAL(12,2)",
    "l_discount": "DECIMAL(12,2)",
    "l_tax": "DECIMAL(12,2)",
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}


def main() -> None:
    """Load the file named first into the database named second."""
    source, target = sys.argv[1:]
    with duckdb.connect(target) as connection:
        connection.execute(
            "CREATE TABLE lineitem AS SELECT * FROM read_csv($source, header = true, auto_detect = false, "
            "delim = ',', quote = '\"', escape = '\"', columns = $columns)",
            {"source": source, "columns": COLUMNS},
        )


if __name__ == "__main__":
    main()
