"""Hand-made reports of runs, one for each thing that a report can say."""
