"""``python -m tests.validation``."""

from tests.validation.page import main

if __name__ == "__main__":
    main()
