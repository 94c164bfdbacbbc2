/** Why a run stands where it stands: each thing it is at or waits for, since when, and what ends it. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Open, Run } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { refresh, useAnswer } from "../../live/answer";
import type { Changes } from "../../live/stream";
import { Confirm } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { Status } from "../../parts/status";
import { briefly, exactly, now } from "../../parts/time";
import { tell } from "../../parts/toast";
import { toRun } from "../../place";

const EVERY_MS = 2000;
const SHOWN = 5;

export function Why({ run, told }: { run: Run; told: string | undefined }): JSX.Element | null {
  const why = useAnswer(`why/${run.id}`, (signal) => api.explain(run.id, signal), {
    on: (changes: Changes) => changes.runs.has(run.id),
    everyMs: EVERY_MS,
  });
  const open = why.data?.open ?? [];
  if (open.length === 0) return told ? <Sentence text={told} run={run} /> : null;
  const kept = open.some((one) => one.reason && one.reason !== "busy");
  return (
    <section class={`why notice tone-${toneOf(run, kept)}`} aria-label="Why it is here">
      <Icon name={kept ? "warning" : "info"} />
      <ul>
        {open.slice(0, SHOWN).map((one, place) => (
          <li key={place}>
            <Status status={one.status} bare />
            <p>
              <bdi class="strong">{one.name}</bdi> <Linked text={textOf(one)} />
              {one.since && !one.text.includes(one.since) && (
                <span class="soft small why-since">
                  since{" "}
                  <time dateTime={one.since} title={exactly(one.since)}>
                    {briefly(one.since, now.value)}
                  </time>
                </span>
              )}
            </p>
          </li>
        ))}
        {open.length > SHOWN && (
          <li class="soft">and {(open.length - SHOWN).toLocaleString()} more, in the list below</li>
        )}
      </ul>
      {open.some((one) => one.reason === "code_changed") && <GoOn run={run} />}
    </section>
  );
}

/** Lets it go on although it began under other code. */
function GoOn({ run }: { run: Run }): JSX.Element {
  const [asking, ask] = useState(false);
  const goOn = async () => {
    await api.resumeRun(run.id);
    tell("The run goes on");
    refresh();
  };
  return (
    <>
      <button type="button" class="button" disabled={!mayOperate()} onClick={() => ask(true)}>
        <Icon name="play" size={14} />
        Let it go on
      </button>
      {asking && (
        <Confirm
          title="Let it go on under the code of now?"
          text="Its steps that are done keep their results. What is left is done by the code that its function has now."
          action="Go on"
          onClose={() => ask(false)}
          onConfirm={goOn}
        />
      )}
    </>
  );
}

const toneOf = (run: Run, kept: boolean): string =>
  kept ? "waiting" : run.status === "QUEUED" ? "queued" : "running";

const textOf = (one: Open): string => one.text || one.status.toLowerCase();

function Sentence({ text, run }: { text: string; run: Run }): JSX.Element {
  return (
    <div class={`notice tone-${toneOf(run, false)}`}>
      <Icon name="info" />
      <p>
        <Linked text={text} />
      </p>
    </div>
  );
}

/** A sentence of the server, in which runs are links and moments are told where the reader is. */
export function Linked({ text }: { text: string }): JSX.Element {
  return (
    <bdi>
      {text.split(KNOWN).map((part, place) => {
        if (place % 2 === 0) return part;
        if (!part.endsWith("Z") || part.length === ID_CHARS)
          return (
            <a key={part} href={toRun(part)}>
              <code>{part}</code>
            </a>
          );
        return (
          <time key={part} dateTime={part} title={part}>
            {briefly(part, now.value)}
          </time>
        );
      })}
    </bdi>
  );
}

/** The id of a run, or a moment. */
const KNOWN =
  /((?<=\brun )[0-7][0-9A-HJKMNP-TV-Z]{25}\b|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;
const ID_CHARS = 26;
