/** How the server does: what ran and failed, what waits, what failed with what, and what is slow. */

import type { JSX } from "preact";
import { useLocation } from "preact-iso";
import { Refused } from "../../api/http";
import type { Count } from "../../api/model";
import * as api from "../../api/resources";
import { Bars } from "../../charts/bars";
import { type Bucket, beginOf, bucketsOf, SPANS, type Span } from "../../charts/series";
import { useAnswer } from "../../live/answer";
import { LiveToggle } from "../../live/toggle";
import { Wrong } from "../../parts/empty";
import { now } from "../../parts/time";
import { to } from "../../place";
import { EVERYTHING, searchOf } from "../runs/filter";
import { NoRuns } from "../runs/run_list";
import { Failures } from "./failures";
import { Figures } from "./figures";
import { FunctionsTable } from "./functions_table";
import { Kept } from "./kept";
import "./overview.css";

const EVERY_MS = 5000;
const SLOWLY_MS = 30_000;
const USUAL = SPANS[1] as Span;

export function OverviewPage(): JSX.Element {
  const { url, route } = useLocation();
  const asked = new URL(url, location.origin).searchParams.get("last");
  const span = SPANS.find((one) => one.name === asked) ?? USUAL;
  const from = () => new Date(beginOf(span, now.peek())).toISOString();
  const fresh = { on: () => true, everyMs: EVERY_MS };
  const slowly = { everyMs: SLOWLY_MS };
  const counts = useAnswer(
    `counts/${span.name}`,
    (signal) => api.counts(from(), span.resolution, false, signal),
    fresh,
  );
  const load = useAnswer("load", api.load, fresh);
  const failures = useAnswer(
    `failures/${span.name}`,
    (signal) => api.failures(from(), signal),
    slowly,
  );
  const byFunction = useAnswer(
    `counts/functions/${span.name}`,
    (signal) => api.counts(from(), finer(span), true, signal),
    slowly,
  );
  const durations = useAnswer(
    `durations/${span.name}`,
    (signal) => api.durations(from(), signal),
    slowly,
  );
  const storage = useAnswer("storage", api.storage, slowly);
  const wrong = [counts, load, failures, byFunction, durations].find((one) => one.error);
  const nothing = counts.data?.length === 0 && load.data?.data.length === 0;
  return (
    <>
      <div class="bar">
        <h1>Overview</h1>
        <span class="push" />
        <Spans chosen={span} onChoose={(one) => route(`${to("overview")}?last=${one.name}`)} />
        <LiveToggle />
      </div>
      <div class="content">
        {wrong?.error && !(wrong.error instanceof Refused && wrong.error.status === 401) && (
          <Wrong error={wrong.error} again={wrong.again} />
        )}
        {counts.data && load.data && (
          <Figures buckets={shown(counts.data, span)} load={load.data.data} span={span} />
        )}
        {counts.data && (
          <section class="card over-chart" aria-label="What became of runs">
            <h2>What became of runs</h2>
            {nothing ? (
              <NoRuns />
            ) : (
              <Bars
                buckets={shown(counts.data, span)}
                label="Runs that ended, over time: arrow keys walk, Enter shows the runs"
                onOpen={(bucket) => route(to("runs") + searchOf(endedIn(bucket)))}
              />
            )}
          </section>
        )}
        <div class="over-parts">
          {failures.data && <Failures groups={failures.data.data} span={span} />}
          {byFunction.data && durations.data && load.data && (
            <FunctionsTable
              counts={byFunction.data}
              durations={durations.data.data}
              load={load.data.data}
              span={span}
            />
          )}
        </div>
        {storage.data && <Kept storage={storage.data} />}
      </div>
    </>
  );
}

const shown = (counts: readonly Count[], span: Span): readonly Bucket[] =>
  bucketsOf(counts, span, now.value);

/** Of each function a chart of a day is drawn by the hour. */
const finer = (span: Span): "minute" | "hour" => (span.name === "1h" ? "minute" : "hour");

const endedIn = (bucket: Bucket) => ({
  ...EVERYTHING,
  from: new Date(bucket.from).toISOString(),
  until: new Date(bucket.to).toISOString(),
  time: "endedAt" as const,
});

function Spans({
  chosen,
  onChoose,
}: {
  chosen: Span;
  onChoose: (span: Span) => void;
}): JSX.Element {
  return (
    <fieldset class="segments">
      <legend class="unseen">How far back</legend>
      {SPANS.map((span) => (
        <button
          key={span.name}
          type="button"
          class="segment"
          aria-pressed={span === chosen}
          onClick={() => onChoose(span)}
        >
          {span.word}
        </button>
      ))}
    </fieldset>
  );
}
