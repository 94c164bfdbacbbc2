"""A small application of Celery, of which the imports were changed and nothing else."""

from datetime import timedelta

from stepwell.celery import Celery, Task, chain, chord, crontab, group, shared_task

app = Celery("shop")
did: list[str] = []


class Declined(Exception):
    pass


@app.task(autoretry_for=(ConnectionError,), retry_backoff=10, retry_jitter=False, max_retries=4)
def charge(order: int) -> str:
    did.append(f"charge {order}")
    if did.count(f"charge {order}") < 3:
        raise ConnectionError("the bank does not answer")
    if order == 13:
        raise Declined("no money")
    return f"receipt {order}"


@shared_task(bind=True, max_retries=2)
def reserve(self: Task, item: str) -> str:
    did.append(f"reserve {item}, retry {self.request.retries}")
    try:
        raise LookupError(f"no {item}")
    except LookupError as error:
        raise self.retry(exc=error, countdown=60) from None


@app.task
def pack(receipt: str, item: str) -> str:
    return f"{item} ({receipt})"


@app.task
def ship(parcels: list[str], by: str = "bike") -> str:
    return f"{' and '.join(parcels)} by {by}"


@app.task
def ask_for_review(shipped: str) -> str:
    did.append("asked")
    return f"How do you like {shipped}?"


@app.task(name="resize", queue="pictures")
def resize(picture: str) -> str:
    did.append(f"resize {picture}")
    return picture


@app.task
def report(day: str) -> None:
    did.append(f"report {day}")


app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "at-seven": {
        "task": "tests.migration.celery_shop.report",
        "schedule": crontab(minute=0, hour=7),
        "args": ("today",),
    },
    "half-hourly": {
        "task": "resize",
        "schedule": timedelta(minutes=30),
        "args": ("logo",),
    },
}


def place(order: int, items: list[str]) -> object:
    packing = group(pack.s(item) for item in items)
    shipping = ship.s(by="train").set(countdown=3600)
    return chain(charge.s(order), packing, shipping, ask_for_review.s()).delay()


def gather_up(items: list[str]) -> object:
    return chord([pack.s("r", item) for item in items])(ship.s())
