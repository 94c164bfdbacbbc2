"""How frameworks and platforms are named to servers: the only list of them."""

import enum


class Framework(enum.StrEnum):
    """What serves the functions. The value travels as `x-inngest-framework`."""

    AIOHTTP = "aiohttp"
    ASGI = "asgi"
    AWS_LAMBDA = "lambda"
    AZURE = "azure-functions"
    BLACKSHEEP = "blacksheep"
    BOTTLE = "bottle"
    CONNECT = "connect"
    DIGITAL_OCEAN = "digitalocean"
    DJANGO = "django"
    EMBEDDED = "embedded"
    FALCON = "falcon"
    FAST_API = "fast_api"
    FLASK = "flask"
    GOOGLE_CLOUD = "google-functions"
    HTTP_SERVER = "http.server"
    LITESTAR = "litestar"
    PYRAMID = "pyramid"
    QUART = "quart"
    ROBYN = "robyn"
    SANIC = "sanic"
    STARLETTE = "starlette"
    TORNADO = "tornado"
    VERCEL = "vercel"
    WSGI = "wsgi"
