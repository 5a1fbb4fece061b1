"""`python -m pallas_kernels`: see `doctor`."""

import sys

from pallas_kernels.doctor import main

if __name__ == "__main__":
    sys.exit(main())
