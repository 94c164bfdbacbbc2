"""Settings of a project that protects itself in every way."""

import tempfile

import django

SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.django_project.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "stepwell.django",
    "tests.django_project.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
]
FOLDER = tempfile.TemporaryDirectory()  # Django never closes a database in memory
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{FOLDER.name}/db.sqlite3",
        "ATOMIC_REQUESTS": True,
    }
}
USE_TZ = True
REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
}
STEPWELL = {"CLIENT": "tests.django_project.shop.inngest.client"}
TASKS = {"default": {"BACKEND": "stepwell.django.task_backend.StepwellBackend"}}
if django.VERSION < (6,):
    INSTALLED_APPS.append("django_tasks")
