"""The version of what a certificate rests on in code: a release certified with another one is not in force."""

CODE = "1"  # raise it with whatever turns a draft into a score, or two answers into an agreement, otherwise than before
