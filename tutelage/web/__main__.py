"""`python -m tutelage.web CONFIG`."""

import sys

from tutelage.web.app import main

if __name__ == "__main__":
    sys.exit(main())
