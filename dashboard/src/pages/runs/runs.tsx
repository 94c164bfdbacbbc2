/** The list of runs: newest first, as the address says. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import { Refused } from "../../api/http";
import type { Run } from "../../api/model";
import { Newer } from "../../live/newer";
import { LiveToggle } from "../../live/toggle";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { Status } from "../../parts/status";
import { Ago, length, now } from "../../parts/time";
import { useWindow } from "../../parts/window";
import { to, toRun } from "../../place";
import { BulkButton, Bulks } from "./bulk";
import { type Filter, filterOf, narrows, searchOf } from "./filter";
import { FilterBar } from "./filter_bar";
import { useRuns } from "./list";
import { SavedViews } from "./saved_views";
import { Search } from "./search";
import "./runs.css";

const ROW_PX = 44;

export function RunsPage(): JSX.Element {
  const { url, route } = useLocation();
  const filter = filterOf(new URL(url, location.origin).searchParams);
  const change = (next: Filter) => route(to("runs") + searchOf(next));
  const { runs, newer, error, more, partial, loadMore, again } = useRuns(filter);
  const refused = error instanceof Refused && error.message.startsWith("query: ");
  return (
    <>
      <div class="bar">
        <h1>Runs</h1>
        <span class="push" />
        <BulkButton filter={filter} />
        {filter.query ? (
          <button type="button" class="button" onClick={again}>
            <Icon name="again" size={14} />
            Search again
          </button>
        ) : (
          <LiveToggle />
        )}
      </div>
      <div class="content">
        <Search
          query={filter.query}
          refused={refused ? error.message : ""}
          onQuery={(query) => change({ ...filter, query })}
        />
        <FilterBar filter={filter} onChange={change} />
        <SavedViews search={searchOf(filter)} />
        <Bulks />
        {error && !refused && <Wrong error={error} again={again} />}
        <Newer count={newer} />
        {runs && (runs.length > 0 || !partial) && (
          <RunList runs={runs} narrowed={narrows(filter)} />
        )}
        {partial && (
          <p class="partial soft" role="status">
            Two seconds were not enough to look at every run
            {runs?.length === 0 ? "; none that was looked at matches" : ""}.
          </p>
        )}
        {more && (
          <button type="button" class="button more" onClick={loadMore}>
            {partial ? "Search on" : "Show more"}
          </button>
        )}
      </div>
    </>
  );
}

export function RunList({
  runs,
  narrowed,
}: {
  runs: readonly Run[];
  narrowed: boolean;
}): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const seen = useWindow(list, runs.length, ROW_PX);
  const longest = Math.max(...runs.map(lasted), 1);
  if (runs.length === 0) return narrowed ? <NoMatch /> : <NoRuns />;
  return (
    <div class="rows card runs">
      <div class="row-head" aria-hidden="true">
        <span>Status</span>
        <span>Function</span>
        <span class="wide">Trigger</span>
        <span class="wide">Queued</span>
        <span class="number">Duration</span>
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the rows inside are links and hold the focus */}
      <div ref={list} onKeyDown={walk}>
        <div style={{ height: `${seen.before}px` }} />
        {runs.slice(seen.first, seen.last).map((run) => (
          <RunRow key={run.id} run={run} longest={longest} />
        ))}
        <div style={{ height: `${seen.after}px` }} />
      </div>
    </div>
  );
}

/** Arrow keys, and j and k, go from row to row. */
function walk(event: KeyboardEvent): void {
  const row = (event.target as HTMLElement).closest("a.row");
  const down = event.key === "j" || event.key === "ArrowDown";
  if (!row || !(down || event.key === "k" || event.key === "ArrowUp")) return;
  const next = down ? row.nextElementSibling : row.previousElementSibling;
  if (next instanceof HTMLAnchorElement) next.focus();
  event.preventDefault();
}

function lasted(run: Run): number {
  if (!run.startedAt) return 0;
  const end = run.endedAt ? Date.parse(run.endedAt) : now.value;
  return Math.max(end - Date.parse(run.startedAt), 0);
}

function RunRow({ run, longest }: { run: Run; longest: number }): JSX.Element {
  const ms = lasted(run);
  return (
    <a class="row" href={toRun(run.id)}>
      <Status status={run.status} />
      <span class="run-name">
        <bdi class="strong">{run.function.name}</bdi>
        <code class="faint">{run.id}</code>
      </span>
      <span class="wide soft">
        {run.trigger.cron ? (
          <span class="trigger">
            <Icon name="cron" size={13} /> <code>{run.trigger.cron}</code>
          </span>
        ) : (
          <span class="trigger">
            <Icon name="events" size={13} />
            {run.trigger.eventName && <bdi>{run.trigger.eventName}</bdi>}
            {(!run.trigger.eventName || (run.trigger.eventIds?.length ?? 0) > 1) &&
              counted(run.trigger.eventIds?.length ?? 0)}
          </span>
        )}
      </span>
      <span class="wide soft">
        <Ago at={run.queuedAt} />
      </span>
      <span class="number lasted">
        {run.startedAt ? length(ms) : "–"}
        <span
          class="lasted-bar"
          aria-hidden="true"
          style={{ width: `${Math.min(ms / longest, 1) * 100}%` }}
        />
      </span>
    </a>
  );
}

const counted = (events: number): string => (events === 1 ? "1 event" : `${events} events`);

function NoMatch(): JSX.Element {
  return (
    <Empty icon="filter" title="No run matches">
      <p>
        Nothing that is stored fits this filter. <a href={to("runs")}>Show all runs</a>.
      </p>
    </Empty>
  );
}

export function NoRuns(): JSX.Element {
  return (
    <Empty icon="runs" title="No runs yet">
      <p>A run begins when an event arrives that a function listens for. Send one:</p>
      <pre>
        <code>{"stepwell send order/placed '{\"order\": 1}'"}</code>
      </pre>
      <p>
        Not sure what to send? See what your <a href={to("functions")}>functions</a> listen for.
      </p>
    </Empty>
  );
}
