"""A small project that runs: its one bad record shows what a quarantine is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pratique.inference.project_text import config_text

PIPELINE: Final = "orders"

_DATA: Final = """\
order_id,ordered_on,customer,amount,country
1,2026-11-02,Lea,19.90,DE
2,2026-11-03,Marek,5.00,PL
3,2026-02-30,Zoé,7.25,FR
4,2026-11-03,Lea,12.40,DE
5,2026-11-04,Ines,8.00,FR
"""
_SCHEMA: Final = """\
# What an order is. Types and required are rules: a record that breaks one is held in quarantine.
primaryKey: order_id                             # no two records have the same one
fields:                                          # in the order of the table
  order_id: integer                              # a whole number; required, because it is the key
  ordered_on: {type: date, required: true}       # a day that exists: 2026-02-30 does not
  customer: {required: true}                     # text, if nothing else is said
  amount: {type: "decimal(9,2)", minimum: 0}     # exact, up to 9 digits, 2 of them after the point
  country: {enum: [DE, FR, PL]}                  # one of these
checks:                                          # conditions of your own
  big_order: {rule: amount < 1000, severity: warn}  # a warning is counted, and the record loaded
"""
_PIPELINE: Final = """\
# Loads the orders: `pratique run orders`.
sources:                                         # where data comes from
  orders:                                        # a name for it
    type: files                                  # files of this machine
    path: data/orders.csv                        # or data/*.csv for every CSV file there
    schema: orders                               # schemas/orders.yaml says what good data is
    on_new_version: replace                      # a corrected file takes the place of the rows it brought before
    quarantine: {max_share: 50 %}                # if more is held, nothing is loaded; five records need more than 10 %
destination: {connection: warehouse, write: append}  # rows are added; a file that is loaded is not loaded again
"""
_TESTS: Final = """\
# What orders does with a few records: tests of a pipeline; values are text as read.
pipeline: orders                                 # the pipeline under test
tests:                                           # given these records, expect these outcomes
  - name: a sound record is loaded               # what is meant, in words
    given:                                       # by source
      orders:                                    # its records
        - {order_id: "1", ordered_on: "2026-11-02", customer: Lea, amount: "19.90", country: DE}
    expect: {orders: {loaded: 1}}                # loaded
  - name: a date that does not exist is held     # what is meant, in words
    given:                                       # by source
      orders:                                    # its records
        - {order_id: "2", ordered_on: "2026-02-30", customer: Lea, amount: "19.90", country: DE}
    expect: {orders: {quarantined: [{order_id: "2", rules: [ordered_on.type]}]}}  # held, for this rule
"""


def example_texts() -> Mapping[str, str]:
    """The files of the example by their path below the project."""
    return {
        "config/default.yaml": config_text({"warehouse": {"url": "duckdb://warehouse.duckdb"}}),
        "data/orders.csv": _DATA,
        f"schemas/{PIPELINE}.yaml": _SCHEMA,
        f"pipelines/{PIPELINE}.yaml": _PIPELINE,
        f"pipelines/tests/{PIPELINE}.yaml": _TESTS,
    }
