"""`python -m tutelage.tied COMMAND...`: become COMMAND, ended by SIGTERM when the parent dies."""

import os
import sys

from ledger.tied import tie_to_parent

if __name__ == "__main__":
    tie_to_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
