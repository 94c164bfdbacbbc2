/** Runs as rows, as many drawn as are seen. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Run } from "../../api/model";
import { Empty } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { Status } from "../../parts/status";
import { Ago, length, now } from "../../parts/time";
import { useWindow } from "../../parts/window";
import { to, toRun } from "../../place";
import { COLUMNS, type Column, USUAL } from "./columns";

const ROW_PX = 44;

interface Props {
  readonly runs: readonly Run[];
  /** A filter is set, which may be why there are none. */
  readonly narrowed: boolean;
  readonly columns?: readonly Column[];
}

export function RunList({ runs, narrowed, columns = USUAL }: Props): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const seen = useWindow(list, runs.length, ROW_PX);
  const longest = Math.max(...runs.map(lasted), 1);
  if (runs.length === 0) return narrowed ? <NoMatch /> : <NoRuns />;
  const widths = columns.map((column) => COLUMNS[column].width).join(" ");
  return (
    <div class="rows card runs" style={{ "--columns": widths }}>
      <div class="row-head" aria-hidden="true">
        <span>Status</span>
        <span>Function</span>
        {columns.map((column) => (
          <span key={column} class={COLUMNS[column].isNumber ? "wide number" : "wide"}>
            {COLUMNS[column].word}
          </span>
        ))}
        <span class="number">Duration</span>
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the rows inside are links and hold the focus */}
      <div ref={list} onKeyDown={walk}>
        <div style={{ height: `${seen.before}px` }} />
        {runs.slice(seen.first, seen.last).map((run) => (
          <RunRow key={run.id} run={run} longest={longest} columns={columns} />
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

/** The width of its bar: by the root, so that what took a second is seen beside what took an hour. */
const barOf = (ms: number, longest: number): string =>
  `${Math.sqrt(Math.min(ms / longest, 1)) * 100}%`;

/** How long it was in the queue, or is. */
function waited(run: Run): number {
  const until = run.startedAt ?? run.endedAt;
  return Math.max((until ? Date.parse(until) : now.value) - Date.parse(run.queuedAt), 0);
}

interface RowProps {
  readonly run: Run;
  readonly longest: number;
  readonly columns: readonly Column[];
}

function RunRow({ run, longest, columns }: RowProps): JSX.Element {
  const ms = lasted(run);
  return (
    <a class="row" href={toRun(run.id)}>
      <Status status={run.status} />
      <span class="run-name">
        <bdi class="strong">{run.function.name}</bdi>
        <code class="faint">{run.id}</code>
      </span>
      {columns.map((column) => (
        <span key={column} class={COLUMNS[column].isNumber ? "wide soft number" : "wide soft"}>
          <Cell run={run} column={column} />
        </span>
      ))}
      <span class="number lasted">
        {run.startedAt ? length(ms) : "–"}
        {run.startedAt && (
          <span class="lasted-bar" aria-hidden="true" style={{ width: barOf(ms, longest) }} />
        )}
      </span>
    </a>
  );
}

function Cell({ run, column }: { run: Run; column: Column }): JSX.Element {
  switch (column) {
    case "app":
      return <bdi>{run.app.name}</bdi>;
    case "trigger":
      return <Trigger run={run} />;
    case "queued":
      return <Ago at={run.queuedAt} />;
    case "started":
      return run.startedAt ? <Ago at={run.startedAt} /> : <>–</>;
    case "ended":
      return run.endedAt ? <Ago at={run.endedAt} /> : <>–</>;
    case "waited":
      return <>{length(waited(run))}</>;
    case "retries":
      return <>{run.retries ?? "–"}</>;
  }
}

function Trigger({ run }: { run: Run }): JSX.Element {
  const { cron, eventName, eventIds } = run.trigger;
  if (cron)
    return (
      <span class="trigger">
        <Icon name="cron" size={13} /> <code>{cron}</code>
      </span>
    );
  const count = eventIds?.length ?? 0;
  return (
    <span class="trigger">
      <Icon name="events" size={13} />
      {eventName && <bdi>{eventName}</bdi>}
      {(!eventName || count > 1) && counted(count)}
    </span>
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
