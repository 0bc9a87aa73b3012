"""`tutelage replay`: what a student could take of a log that exists, before anything is changed."""

LEAST_ROWS = 200  # of which some eighty would teach: of fewer neither training nor a test says anything
