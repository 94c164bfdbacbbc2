"""Django: functions that are found by themselves, and views that run one. README.md says more."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "welcome.settings")
    execute_from_command_line(sys.argv)
