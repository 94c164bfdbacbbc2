/** Schedules: when each comes next, what became of the latest, and running one by hand. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { Cron, Occurrence } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { useAnswer } from "../../live/answer";
import { LiveToggle } from "../../live/toggle";
import { Confirm } from "../../parts/dialog";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { StatusShape, shown } from "../../parts/status";
import { Ago, exactly, onDay } from "../../parts/time";
import { tell } from "../../parts/toast";
import { toFunction, toRun } from "../../place";
import { clockNote, wordsOf } from "./words";
import "./crons.css";

const EVERY_MS = 5000;

const CATCH_UP = {
  skip: "Times that come while no server runs are left out.",
  one: "Of the times that came while no server ran, the latest is made up for.",
  all: "Each time that came while no server ran is made up for.",
} as const;

export function CronsPage(): JSX.Element {
  const found = useAnswer("crons", api.crons, { everyMs: EVERY_MS });
  const catchUp = useAnswer("catch-up", api.catchUp);
  const [starting, start] = useState<Cron>();
  return (
    <>
      <div class="bar">
        <h1>Schedules</h1>
        <span class="push" />
        <LiveToggle />
      </div>
      <div class="content">
        {found.error && <Wrong error={found.error} again={found.again} />}
        {found.data?.length === 0 && <NoCrons />}
        <div class="crons">
          {found.data?.map((cron) => (
            <CronCard
              key={`${cron.function.name} ${cron.schedule}`}
              cron={cron}
              onStart={() => start(cron)}
            />
          ))}
        </div>
        {catchUp.data && found.data && found.data.length > 0 && (
          <p class="faint small">
            {CATCH_UP[catchUp.data]} (<code>--cron-catch-up {catchUp.data}</code>)
          </p>
        )}
      </div>
      {starting && <RunNow cron={starting} onClose={() => start(undefined)} />}
    </>
  );
}

function CronCard({ cron, onStart }: { cron: Cron; onStart: () => void }): JSX.Element {
  const recent = cron.recent ?? [];
  const last = recent.find((one) => one.runId);
  const missed = recent.filter((one) => one.missed).length;
  const note = clockNote(cron, onDay);
  return (
    <section class="cron card" aria-label={`${cron.function.name}: ${wordsOf(cron.schedule)}`}>
      <header>
        <div>
          <h2>
            <a href={toFunction(cron.app.name, cron.function.name)}>
              <bdi>{cron.function.name}</bdi>
            </a>
            {cron.isPaused && <span class="chip paused">paused</span>}
          </h2>
          <p class="cron-words">
            {wordsOf(cron.schedule)}
            {cron.zone !== "UTC" && <span class="soft"> in {cron.zone}</span>}
          </p>
          <p class="faint small">
            <code>{cron.schedule}</code>
            {cron.jitter && ` · up to ${cron.jitter} later`}
          </p>
        </div>
        <button type="button" class="button" disabled={!mayOperate()} onClick={onStart}>
          <Icon name="play" size={14} />
          Run now
        </button>
      </header>
      <dl class="trio">
        <div>
          <dt>Next</dt>
          <dd>
            {cron.isPaused ? (
              <span class="soft">when the function goes on</span>
            ) : cron.nextAt ? (
              <Ago at={cron.nextAt} ahead />
            ) : (
              <span class="soft">never</span>
            )}
          </dd>
        </div>
        <div>
          <dt>Last</dt>
          <dd>{last ? <Ago at={last.at} /> : <span class="soft">not yet</span>}</dd>
        </div>
        <div>
          <dt>Missed</dt>
          <dd class={missed > 0 ? "held-up" : ""}>{missed === 0 ? "none" : missed}</dd>
        </div>
      </dl>
      {recent.length > 0 && <Latest recent={recent} />}
      {missed > 0 && (
        <p class="soft small">
          Missed: no server ran, the function was paused, or one of its limits left it out.
        </p>
      )}
      {note && <p class="soft small">{note}</p>}
    </section>
  );
}

/** The latest times as marks, the oldest first. */
function Latest({ recent }: { recent: readonly Occurrence[] }): JSX.Element {
  return (
    <ol class="latest" aria-label="The latest times, the oldest first">
      {[...recent].reverse().map((one) => (
        <li key={one.at}>
          {one.runId && one.status ? (
            <a
              class={`latest-run tone-${shown(one.status).tone}`}
              href={toRun(one.runId)}
              title={`${shown(one.status).word}: ${exactly(one.at)}`}
              aria-label={`${shown(one.status).word}: ${exactly(one.at)}`}
            >
              <StatusShape status={one.status} />
            </a>
          ) : (
            <span class="latest-missed" title={`Missed: ${exactly(one.at)}`}>
              <span class="unseen">Missed: {exactly(one.at)}</span>
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

function RunNow({ cron, onClose }: { cron: Cron; onClose: () => void }): JSX.Element {
  const { route } = useLocation();
  const start = async () => {
    const id = await api.invoke(cron.app.name, cron.function.name, "{}");
    route(toRun(id));
    tell("A run has begun");
  };
  return (
    <Confirm
      title={`Run ${cron.function.name} now?`}
      text="One run begins at once, as if it were invoked. The schedule stays as it is."
      action="Run now"
      onClose={onClose}
      onConfirm={start}
    />
  );
}

function NoCrons(): JSX.Element {
  return (
    <Empty icon="cron" title="No schedules">
      <p>A function that a schedule starts appears here:</p>
      <pre>
        <code>
          {
            '@client.create_function(\n    fn_id="report",\n    trigger=stepwell.TriggerCron(cron="TZ=Europe/Paris 0 9 * * MON-FRI"),\n)'
          }
        </code>
      </pre>
    </Empty>
  );
}
