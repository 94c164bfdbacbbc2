"""What the environment tells of the platform, and whether it is production."""

from collections.abc import Mapping

# (variable, its value or None for "any", platform name).
_PLATFORMS: tuple[tuple[str, str | None, str], ...] = (
    ("VERCEL", "1", "vercel"),
    ("NETLIFY", "true", "netlify"),
    ("CF_PAGES", "1", "cloudflare-pages"),
    ("RENDER", "true", "render"),
    ("RAILWAY_ENVIRONMENT", None, "railway"),
    ("AWS_LAMBDA_FUNCTION_NAME", None, "aws-lambda"),
    ("K_SERVICE", None, "google-cloud-run"),
    ("WEBSITE_INSTANCE_ID", None, "azure-functions"),
    ("DYNO", None, "heroku"),
    ("FLY_APP_NAME", None, "fly"),
    ("MODAL_TASK_ID", None, "modal"),
    ("__OW_ACTION_NAME", None, "digitalocean"),
    ("KUBERNETES_SERVICE_HOST", None, "kubernetes"),
)
# Production hints of mode "auto": set at all, or beginning with "prod".
_HINTS_SET = (
    "DENO_DEPLOYMENT_ID",
    "NETLIFY",
    "RENDER",
    "RAILWAY_GIT_BRANCH",
    "CF_PAGES",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "WEBSITE_INSTANCE_ID",
    "DYNO",
    "FLY_APP_NAME",
    "KUBERNETES_SERVICE_HOST",
)
_HINTS_PROD = (
    "CONTEXT",
    "ENVIRONMENT",
    "NODE_ENV",
    "VERCEL_ENV",
    "FLASK_ENV",
    "APP_ENV",
    "PYTHON_ENV",
)


def production_hint(environ: Mapping[str, str]) -> str | None:
    """The variable that speaks for production, as NAME=value, or None."""
    for name in _HINTS_PROD:
        value = environ.get(name, "")
        if value.lower().startswith("prod"):
            return f"{name}={value}"
    vercel = environ.get("VERCEL_ENV", "")
    if vercel and vercel != "development":
        return f"VERCEL_ENV={vercel}"
    for name in _HINTS_SET:
        if environ.get(name):
            return f"{name}={environ[name]}"
    django = environ.get("DJANGO_SETTINGS_MODULE", "")
    return f"DJANGO_SETTINGS_MODULE={django}" if django.endswith("production") else None


def platform_in(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The platform, and the variable that tells it as NAME=value."""
    for name, wanted, platform in _PLATFORMS:
        value = environ.get(name)
        if value and (wanted is None or value.lower() == wanted):
            return platform, f"{name}={value}"
    return None, None
