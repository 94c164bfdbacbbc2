"""The systems that are measured, one file each. `PEERS` names them; a module is imported only in
the process that measures it, because peers do not share their dependencies."""

PEERS = {
    "stepwell_full": ("bench.peers.stepwell_embedded", "full"),
    "stepwell_relaxed": ("bench.peers.stepwell_embedded", "relaxed"),
    "stepwell_postgres_full": ("bench.peers.stepwell_embedded", "full postgres"),
    "stepwell_postgres_relaxed": ("bench.peers.stepwell_embedded", "relaxed postgres"),
    "stepwell_http": ("bench.peers.stepwell_http", "ours"),
    "stepwell_http_official": ("bench.peers.stepwell_http", "official"),
    "stepwell_connect": ("bench.peers.stepwell_connect", "ours full"),
    "stepwell_connect_relaxed": ("bench.peers.stepwell_connect", "ours relaxed"),
    "stepwell_connect_official": ("bench.peers.stepwell_connect", "official full"),
    "restate": ("bench.peers.restate_granian", ""),
    "dbos_sqlite": ("bench.peers.dbos_library", "sqlite"),
    "dbos_postgres": ("bench.peers.dbos_library", "postgres"),
    "procrastinate": ("bench.peers.procrastinate_worker", ""),
    "celery": ("bench.peers.celery_prefork", ""),
}
