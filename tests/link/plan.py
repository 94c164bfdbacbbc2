"""Random trouble for a joined worker and gateway, and what must be true once the trouble ends."""

from random import Random

from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.testing.simulation.link import Faults, Link, default_config


def random_faults(chance: Random) -> Faults:
    """From a quiet wire to a terrible one; most kinds of trouble are absent most of the time."""

    def some(most: float) -> float:
        return chance.choice((0.0, 0.0, most / 10, most))

    return Faults(
        loss=some(0.2),
        repeat=some(0.3),
        reorder=some(0.3),
        cut=some(0.05),
        http_failure=some(0.5),
        delay_s=chance.choice(((0.001, 0.005), (0.01, 0.3), (0.5, 4.0))),
        reorder_s=chance.choice((0.05, 1.0, 20.0)),
    )


def trouble(link: Link, chance: Random) -> None:
    """One random misfortune, or one random piece of work."""
    number = chance.randrange(len(link.gateways))
    dice = chance.random()
    if dice < 0.45:
        work_s = chance.choice((0.0, 0.05, 2.0, 40.0, 200.0))
        link.want(work_s)
    elif dice < 0.55:
        link.cut()
    elif dice < 0.62:
        link.drain(number)
        link.at(chance.uniform(1, 60), lambda: link.revive(number))
    elif dice < 0.68:
        link.kill_gateway(number)
        link.at(chance.uniform(0.1, 90), lambda: link.revive(number))
    elif dice < 0.72:
        link.kill_worker()
    elif dice < 0.78:
        link.api_status = chance.choice((None, 500, 503, 429))
        link.at(chance.uniform(1, 60), lambda: setattr(link, "api_status", 200))
    elif dice < 0.84:
        link.faults = random_faults(chance)
    elif dice < 0.87:
        link.call_worker(lambda worker, now: worker.pause(now))
        link.at(20, lambda: link.call_worker(lambda worker, now: worker.resume(now)))
    elif dice < 0.92:
        link.darken()
    elif dice < 0.94:
        link.worker_stuck = True
        link.at(chance.uniform(1, 80), lambda: setattr(link, "worker_stuck", False))
    else:
        link.faults = Faults()


def troubled_link(seed: int) -> Link:
    """A link whose shape is drawn by the seed too."""
    chance = Random(seed)
    config = WorkerConfig(
        instance_id="instance",
        apps=default_config().apps,
        capabilities=default_config().capabilities,
        sdk_version="0",
        keys=chance.choice((0, 1, 2)),
        concurrency_max=chance.choice((None, 1, 3)),
        outbox_count_max=chance.choice((4, 10_000)),
        backoff_max_s=chance.choice((5.0, 300.0)),
    )
    return Link(
        seed,
        worker=config,
        gateways=chance.choice((1, 2, 3)),
        checkpoints=chance.random() < 0.5,
    )


def suffer(link: Link, chance: Random, *, seconds: float, every_s: float) -> None:
    """Trouble at random instants for so long."""
    until = link.now + seconds
    while link.now < until:
        link.run(chance.expovariate(1 / every_s))
        if link.finished is not None and link.finished.error is not None:
            # Refused at its first try: somebody starts it again.
            link.kill_worker()
        trouble(link, chance)


def check_all_is_well(link: Link) -> None:
    """Once faults stop: connected, every call answered, nothing held, nothing unconfirmed."""
    link.heal()
    link.call_worker(lambda worker, now: worker.resume(now))
    link.run_until(
        lambda: (
            link.worker.state is ConnectionState.ACTIVE
            and all(call.answer is not None for call in link.desk.calls)
            and link.worker.unacknowledged == 0
            and not link.worker.in_flight
        ),
        within_s=7200,
    )
    link.call_worker(lambda worker, now: worker.close(now))
    link.run_until(lambda: link.finished is not None, within_s=60)
    assert link.finished is not None
    assert link.finished.error is None
    assert link.finished.unsent == ()
    assert link.spool == {}
    assert link.states[-1] is ConnectionState.CLOSED
