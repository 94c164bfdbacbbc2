"""What this project needs, and no more."""

SECRET_KEY = "an example"  # noqa: S105
DEBUG = True
ROOT_URLCONF = "welcome.urls"
INSTALLED_APPS = ["stepwell.django", "welcome"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
    }
}
USE_TZ = True
STEPWELL = {"CLIENT": "welcome.inngest.client"}
