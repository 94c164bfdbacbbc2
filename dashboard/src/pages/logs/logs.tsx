/** What functions write, as they write it. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { RunLine } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { LiveToggle } from "../../live/toggle";
import { Empty, Wrong } from "../../parts/empty";
import { exactly, timeOfDay } from "../../parts/time";
import { to, toRun } from "../../place";
import { type Chosen, chosenOf, LEVELS, LINES_MAX, searchOf, shownOf } from "./lines";
import { useTail } from "./tail";
import "./logs.css";
import { among, Select } from "../../parts/select";

/** So near to the end, the reader is taken to be at it. */
const NEAR_PX = 40;

export function LogsPage(): JSX.Element {
  const { url, route } = useLocation();
  const chosen = chosenOf(new URL(url, location.origin).searchParams);
  const known = useAnswer("functions", api.functions);
  const fn = known.data?.find((one) => one.slug === chosen.fn);
  const waits = chosen.fn !== "" && !known.data;
  return (
    <>
      <div class="bar">
        <h1>Logs</h1>
        <span class="push" />
        <LiveToggle />
      </div>
      <div class="content">
        <LogFilter
          chosen={chosen}
          functions={(known.data ?? []).map((one) => one.slug)}
          onChange={(next) => route(to("logs") + searchOf(next), true)}
        />
        {!waits && <Lines app={fn?.app.name ?? ""} chosen={fn ? chosen : { ...chosen, fn: "" }} />}
      </div>
    </>
  );
}

interface FilterProps {
  readonly chosen: Chosen;
  readonly functions: readonly string[];
  readonly onChange: (chosen: Chosen) => void;
}

function LogFilter({ chosen, functions, onChange }: FilterProps): JSX.Element {
  return (
    <fieldset class="filters log-filter">
      <legend class="unseen">Filter</legend>
      <Select
        label="Function"
        value={chosen.fn}
        options={among("All functions", functions)}
        onChange={(fn) => onChange({ ...chosen, fn })}
      />
      <Select
        label="Level"
        value={chosen.level}
        options={[
          ["", "Every level"],
          ...LEVELS.slice(1).map((level) => [level, `${level} and above`] as const),
        ]}
        onChange={(level) => onChange({ ...chosen, level })}
      />
      <input
        class="input log-part"
        type="search"
        aria-label="Part of a line"
        placeholder="Part of a line"
        data-search
        value={chosen.text}
        onInput={(event) => onChange({ ...chosen, text: event.currentTarget.value })}
      />
    </fieldset>
  );
}

function Lines({ app, chosen }: { app: string; chosen: Chosen }): JSX.Element {
  const { lines, functions, gap, error } = useTail(app, chosen.fn);
  const shown = lines && shownOf(lines, chosen);
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    // Whoever reads further up is left there.
    if (list.current && atEnd.current) list.current.scrollTop = list.current.scrollHeight;
  }, [shown?.length, shown?.at(-1)]);
  const onScroll = () => {
    const place = list.current;
    if (place) atEnd.current = place.scrollHeight - place.scrollTop - place.clientHeight < NEAR_PX;
  };
  return (
    <>
      {error && <Wrong error={error} />}
      {gap && (
        <p class="soft small" role="status">
          Some lines are not shown here: too many came at once. They stand with their runs.
        </p>
      )}
      {shown && shown.length === 0 && <NoLines narrowed={lines.length > 0} />}
      {shown && shown.length > 0 && (
        <div
          class="card tail"
          role="log"
          aria-live="off"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too
          tabIndex={0}
          ref={list}
          onScroll={onScroll}
        >
          {lines.length === LINES_MAX && (
            <p class="faint small tail-older">The latest {LINES_MAX} lines.</p>
          )}
          {shown.map((line, place) => (
            <Line key={place} line={line} fn={functions.get(line.runId)} />
          ))}
        </div>
      )}
    </>
  );
}

function Line({ line, fn }: { line: RunLine; fn: string | undefined }): JSX.Element {
  const level = line.level.toLowerCase();
  return (
    <div class="tail-line" data-level={level}>
      <time class="faint" dateTime={line.at} title={exactly(line.at)}>
        {timeOfDay(line.at)}
      </time>
      <span class="tail-level">{level}</span>
      <a href={toRun(line.runId)} title={line.stepName ? `in ${line.stepName}` : undefined}>
        <bdi>{fn ?? line.runId}</bdi>
      </a>
      <bdi class="tail-text">{line.text}</bdi>
    </div>
  );
}

function NoLines({ narrowed }: { narrowed: boolean }): JSX.Element {
  if (narrowed)
    return (
      <Empty icon="filter" title="No line matches">
        <p>Lines were written, but none like that. Others come as they are written.</p>
      </Empty>
    );
  return (
    <Empty icon="logs" title="No lines yet">
      <p>
        What a function writes with <code>ctx.logger</code>, from info on, appears here as it is
        written.
      </p>
    </Empty>
  );
}
