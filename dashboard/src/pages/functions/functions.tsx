/** Every function that apps have registered. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Count, Fn, Load } from "../../api/model";
import * as api from "../../api/resources";
import { beginOf, bucketsOf, failedShare, HOURLY, percent, totalsOf } from "../../charts/series";
import { Spark } from "../../charts/spark";
import { useAnswer } from "../../live/answer";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { now } from "../../parts/time";
import { toFunction } from "../../place";
import { limitsTold } from "./settings";
import "./functions.css";

const EVERY_MS = 5000;
const SLOWLY_MS = 30_000;

export function FunctionsPage(): JSX.Element {
  const [text, setText] = useState("");
  const found = useAnswer("functions", api.functions, { everyMs: EVERY_MS });
  const load = useAnswer("load", api.load, { on: () => true, everyMs: EVERY_MS });
  const from = () => new Date(beginOf(HOURLY, now.peek())).toISOString();
  const counts = useAnswer(
    "counts/functions",
    (signal) => api.counts(from(), HOURLY.resolution, true, signal),
    { everyMs: SLOWLY_MS },
  );
  const shown = found.data?.filter((one) => matches(one, text.toLowerCase()));
  return (
    <>
      <div class="bar">
        <h1>Functions</h1>
      </div>
      <div class="content">
        <input
          class="input function-search"
          type="search"
          placeholder="Name or trigger"
          aria-label="Name or trigger"
          data-search
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {found.error && <Wrong error={found.error} again={found.again} />}
        {shown && (
          <FunctionList
            functions={shown}
            searched={text !== ""}
            counts={counts.data ?? []}
            load={load.data?.data ?? []}
          />
        )}
      </div>
    </>
  );
}

function matches(fn: Fn, text: string): boolean {
  return [fn.name, fn.slug, ...fn.triggers.map((one) => one.value)].some((one) =>
    one.toLowerCase().includes(text),
  );
}

interface ListProps {
  readonly functions: readonly Fn[];
  readonly searched: boolean;
  readonly counts: readonly Count[];
  readonly load: readonly Load[];
}

function FunctionList({ functions, searched, counts, load }: ListProps): JSX.Element {
  if (functions.length === 0) return <NoFunctions searched={searched} />;
  return (
    <div class="rows card functions">
      <div class="row-head" aria-hidden="true">
        <span>Function</span>
        <span>Trigger</span>
        <span class="wide">Limits</span>
        <span class="wide">24 hours</span>
        <span class="number wide">Failed</span>
        <span class="number">Now</span>
      </div>
      {functions.map((fn) => (
        <a class="row" key={fn.slug} href={toFunction(fn.app.name, fn.slug)}>
          <span class="strong">
            <bdi>{fn.name}</bdi>
            {fn.isPaused && <span class="chip paused">paused</span>}
          </span>
          <span class="triggers">
            {fn.triggers.map((one) => (
              <span class="chip" key={one.value}>
                <Icon name={one.type === "CRON" ? "cron" : "events"} size={12} />
                <bdi>{one.value}</bdi>
              </span>
            ))}
          </span>
          <span class="wide soft">{limitsTold(fn.configuration) || "–"}</span>
          <Fares counts={counts.filter((one) => one.function?.name === fn.slug)} />
          <Now load={load.find((one) => one.function.name === fn.slug)} />
        </a>
      ))}
    </div>
  );
}

/** Its runs of a day as a line, and the share that failed. */
function Fares({ counts }: { counts: readonly Count[] }): JSX.Element {
  const buckets = bucketsOf(counts, HOURLY, now.value);
  const totals = totalsOf(buckets);
  return (
    <>
      <span class="wide">
        {totals.queued > 0 ? <Spark buckets={buckets} /> : <span class="faint">–</span>}
        <span class="unseen">{totals.queued} runs in 24 hours</span>
      </span>
      <span class={`number wide${totals.failed > 0 ? " toned tone-failed" : " faint"}`}>
        {totals.failed > 0 ? percent(failedShare(totals)) : "–"}
        <span class="unseen"> failed</span>
      </span>
    </>
  );
}

/** How many runs go on, and how many wait. */
function Now({ load }: { load: Load | undefined }): JSX.Element {
  if (!load) return <span class="number faint">–</span>;
  return (
    <span class="number" title={`${load.running} going on, ${load.queued} queued`}>
      {load.running.toLocaleString()}
      <span class="unseen"> going on</span>
      {load.queued > 0 && (
        <span class={load.reason === "none" ? "soft" : "held-up"}>
          {" "}
          +{load.queued.toLocaleString()}
          <span class="unseen"> queued</span>
        </span>
      )}
    </span>
  );
}

function NoFunctions({ searched }: { searched: boolean }): JSX.Element {
  if (searched) return <Empty icon="search" title="No function matches" />;
  return (
    <Empty icon="functions" title="No functions yet">
      <p>
        Functions appear when an app registers. Start one beside the server, or tell it where yours
        answers:
      </p>
      <pre>
        <code>
          {"stepwell dev my_app.functions\nstepwell dev -u http://localhost:8000/api/inngest"}
        </code>
      </pre>
    </Empty>
  );
}
