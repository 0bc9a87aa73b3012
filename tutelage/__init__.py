"""The command line and the demo: composes the other packages, holds no logic of theirs."""
