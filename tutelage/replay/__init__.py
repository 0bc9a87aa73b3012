"""`tutelage replay`: what a student could take of a log that exists, before anything is changed."""
