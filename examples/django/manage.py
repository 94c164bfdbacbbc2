"""Django: functions that are found by themselves, a task, and views that run a function.

    $ INNGEST_DEV=1 python manage.py runserver localhost:8000 --noreload
    $ stepwell dev -u http://localhost:8000/api/inngest
    $ curl http://localhost:8000/welcome/Ada

Without a web server, `python manage.py stepwell_dev` runs the functions and a server for
development, and `python manage.py stepwell_worker` runs them in production.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "welcome.settings")
    execute_from_command_line(sys.argv)
