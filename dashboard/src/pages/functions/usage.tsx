/** What a function does now: how much is under way and waits, how it fares, how full its limits are. */

import type { JSX } from "preact";
import type { Fn, KeyUsage, Load } from "../../api/model";
import * as api from "../../api/resources";
import { beginOf, bucketsOf, failedShare, HOURLY, percent, totalsOf } from "../../charts/series";
import { Spark } from "../../charts/spark";
import { useAnswer } from "../../live/answer";
import { distance, now } from "../../parts/time";
import { to } from "../../place";
import { EVERYTHING, searchOf } from "../runs/filter";
import "../limits/limits.css";

const EVERY_MS = 2000;

export function UsageOf({ fn }: { fn: Fn }): JSX.Element {
  const key = `${fn.app.name}/${fn.slug}`;
  const usage = useAnswer(`usage/${key}`, (signal) => api.usage(fn.app.name, fn.slug, signal), {
    on: () => true,
    everyMs: EVERY_MS,
  });
  const from = () => new Date(beginOf(HOURLY, now.peek())).toISOString();
  const counts = useAnswer(
    `counts/${key}`,
    (signal) => api.countsOf(fn.app.name, fn.slug, from(), signal),
    { on: () => true },
  );
  const buckets = bucketsOf(counts.data ?? [], HOURLY, now.value);
  const totals = totalsOf(buckets);
  const load = usage.data?.load;
  return (
    <section class="panel card" aria-label="Now">
      <h2>Now</h2>
      <dl class="trio">
        <div>
          <dt>Going on</dt>
          <dd>{load ? load.running.toLocaleString() : "–"}</dd>
        </div>
        <div>
          <dt>Queued</dt>
          <dd class={load && load.queued > 0 && load.reason !== "none" ? "held-up" : ""}>
            {load ? load.queued.toLocaleString() : "–"}
          </dd>
        </div>
        <div>
          <dt>Failed, 24 hours</dt>
          <dd class={totals.failed > 0 ? "toned tone-failed" : ""}>
            {counts.data ? failed(totals) : "–"}
          </dd>
        </div>
      </dl>
      {load && load.queued > 0 && <p class="soft small">{waitTold(load)}</p>}
      {totals.queued > 0 && (
        <a
          class="usage-spark"
          href={
            to("runs") + searchOf({ ...EVERYTHING, app: fn.app.name, fn: fn.slug, last: "24h" })
          }
        >
          <Spark buckets={buckets} />
          <span class="small">{totals.queued.toLocaleString()} runs in 24 hours</span>
        </a>
      )}
      {usage.data && usage.data.limits.length > 0 && (
        <div class="limit-keys">
          {usage.data.limits.map((one) => (
            <Limit key={`${one.option} ${one.key ?? ""}`} usage={one} />
          ))}
        </div>
      )}
    </section>
  );
}

const failed = (totals: Parameters<typeof failedShare>[0]): string =>
  totals.failed === 0
    ? "none"
    : `${percent(failedShare(totals))}, ${totals.failed.toLocaleString()} runs`;

const REASONS: Record<string, string> = {
  app_unknown: "its app is not registered",
  function_gone: "its app no longer serves it",
  app_away: "its app does not answer",
  no_worker: "no worker of its app is connected",
  busy: "its app has as many calls as it takes",
  limit: "one of its limits is used up",
  paused: "it is paused",
};

function waitTold(load: Load): string {
  const since = load.oldestQueuedAt
    ? `The oldest was queued ${distance(now.value, Date.parse(load.oldestQueuedAt))}`
    : "They wait";
  const reason = REASONS[load.reason ?? ""];
  return reason ? `${since}: ${reason}.` : `${since}.`;
}

const OPTIONS = {
  concurrency: "Concurrency",
  runConcurrency: "Run concurrency",
  throttle: "Throttle",
} as const;

function Limit({ usage }: { usage: KeyUsage }): JSX.Element {
  const full = usage.inUse >= usage.limit;
  return (
    <div class="limit-key">
      <bdi>
        {OPTIONS[usage.option]}
        {usage.key && <span class="soft"> {usage.key}</span>}
      </bdi>
      <span class="limit-bar" aria-hidden="true">
        <span
          class={full ? "full" : ""}
          style={{ width: `${Math.min(usage.inUse / usage.limit, 1) * 100}%` }}
        />
      </span>
      <span class="limit-use">
        {usage.inUse.toLocaleString()} of {usage.limit.toLocaleString()}
        {usage.waiting > 0 && (
          <span class="held-up">, {usage.waiting.toLocaleString()} waiting</span>
        )}
        {usage.nextAt && (
          <span class="soft"> · next {distance(now.value, Date.parse(usage.nextAt))}</span>
        )}
      </span>
    </div>
  );
}
