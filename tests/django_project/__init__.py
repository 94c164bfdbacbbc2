"""A Django project for tests, set up when it is imported: once per process."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_project.settings"
django.setup()
