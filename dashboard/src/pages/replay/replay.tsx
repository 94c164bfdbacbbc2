/** What went wrong with a function is done again: chosen, counted, and followed until it is done. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { Bulk, RunStatus } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { refresh, useAnswer } from "../../live/answer";
import { Icon } from "../../parts/icon";
import { StatusShape, shown } from "../../parts/status";
import { Ago, atField, exactly, now, ofField } from "../../parts/time";
import { tell } from "../../parts/toast";
import { to } from "../../place";
import { Bulks } from "../runs/bulk";
import {
  actionOf,
  ENDED,
  filterOf,
  REASONS,
  SPANS,
  searchOf,
  type Wanted,
  wantedOf,
  wrongWith,
} from "./wanted";
import "./replay.css";
import { among, Select } from "../../parts/select";

const EVERY_MS = 2000;

export function ReplayPage(): JSX.Element {
  const { url, route } = useLocation();
  const wanted = wantedOf(new URL(url, location.origin).searchParams);
  const change = (part: Partial<Wanted>) =>
    route(to("replay") + searchOf({ ...wanted, ...part }), true);
  return (
    <>
      <div class="bar">
        <h1>Replay</h1>
      </div>
      <div class="content replay">
        <p class="soft replay-about">
          Runs that went wrong, or events that were skipped, are done again by the function as it is
          now.
        </p>
        <Bulks />
        <section class="panel card replay-form">
          <WhichFunction wanted={wanted} change={change} />
          <What wanted={wanted} change={change} />
          <When wanted={wanted} change={change} />
          <Start wanted={wanted} change={change} />
        </section>
        <Earlier />
      </div>
    </>
  );
}

interface Props {
  readonly wanted: Wanted;
  readonly change: (part: Partial<Wanted>) => void;
}

function WhichFunction({ wanted, change }: Props): JSX.Element {
  const known = useAnswer("functions", api.functions);
  const choose = (slug: string) => {
    const fn = known.data?.find((one) => one.slug === slug);
    change({ fn: slug, app: fn?.app.name ?? "" });
  };
  return (
    <div class="field replay-function">
      <span>Function</span>
      <Select
        label="Function"
        value={wanted.fn}
        options={among(
          "Choose one",
          (known.data ?? []).map((one) => one.slug),
        )}
        onChange={choose}
      />
    </div>
  );
}

function What({ wanted, change }: Props): JSX.Element {
  // The last one stays: without any, the API would take all.
  const toggled = <One extends string>(all: readonly One[], has: readonly One[], one: One) => {
    const next = all.filter((other) => (other === one) !== has.includes(other));
    return next.length > 0 ? next : has;
  };
  const toggle = (status: RunStatus) =>
    change({ statuses: toggled(ENDED, wanted.statuses, status) });
  const reasons = REASONS.map(([reason]) => reason);
  return (
    <>
      <fieldset class="replay-what">
        <legend>What is done again</legend>
        <div class="segments">
          <button
            type="button"
            class="segment"
            aria-pressed={wanted.what === "runs"}
            onClick={() => change({ what: "runs" })}
          >
            Runs
          </button>
          <button
            type="button"
            class="segment"
            aria-pressed={wanted.what === "events"}
            onClick={() => change({ what: "events" })}
          >
            Events that were skipped
          </button>
        </div>
      </fieldset>
      <fieldset class="replay-what">
        <legend>{wanted.what === "runs" ? "That ended so" : "Because of"}</legend>
        <div class="segments">
          {wanted.what === "runs"
            ? ENDED.map((status) => (
                <button
                  key={status}
                  type="button"
                  class={`segment tone-${shown(status).tone}`}
                  aria-pressed={wanted.statuses.includes(status)}
                  onClick={() => toggle(status)}
                >
                  <StatusShape status={status} />
                  {shown(status).word}
                </button>
              ))
            : REASONS.map(([reason, word]) => (
                <button
                  key={reason}
                  type="button"
                  class="segment"
                  aria-pressed={wanted.reasons.includes(reason)}
                  onClick={() => change({ reasons: toggled(reasons, wanted.reasons, reason) })}
                >
                  {word}
                </button>
              ))}
        </div>
      </fieldset>
    </>
  );
}

function When({ wanted, change }: Props): JSX.Element {
  return (
    <fieldset class="replay-what">
      <legend>{wanted.what === "runs" ? "Queued" : "Skipped"}</legend>
      <div class="replay-when">
        <div class="segments">
          {SPANS.map(([name, word]) => (
            <button
              key={name}
              type="button"
              class="segment"
              aria-pressed={wanted.last === name}
              onClick={() => change({ last: name, from: "", until: "" })}
            >
              {word}
            </button>
          ))}
        </div>
        <span class="soft">or from</span>
        <input
          class="input"
          type="datetime-local"
          aria-label="From"
          value={atField(wanted.from)}
          onChange={(event) => change({ from: ofField(event.currentTarget.value) })}
        />
        <span class="soft">until</span>
        <input
          class="input"
          type="datetime-local"
          aria-label="Until"
          value={atField(wanted.until)}
          onChange={(event) => change({ until: ofField(event.currentTarget.value) })}
        />
      </div>
    </fieldset>
  );
}

function Start({ wanted, change }: Props): JSX.Element {
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const wrong = wrongWith(wanted);
  const { rate, ...counted } = wanted;
  const asks = wanted.fn !== "" && wrong === "";
  const found = useAnswer(`replay/${asks}${searchOf({ ...counted, rate: "" })}`, async (signal) =>
    asks
      ? (await api.countBulk(filterOf(wanted, now.peek()), signal, actionOf(wanted))).data
      : undefined,
  );
  const count = found.data;
  const thing = wanted.what === "runs" ? "run" : "event";
  const told = count && `${count.count.toLocaleString("en")}${count.more ? "+" : ""}`;
  const start = async () => {
    setBusy(true);
    setRefused("");
    try {
      await api.startBulk(actionOf(wanted), filterOf(wanted, now.peek()), Number(rate));
      refresh();
      tell("Replaying has begun");
    } catch (error) {
      setRefused((error as Error).message);
    }
    setBusy(false);
  };
  const words = told ? `${told} ${thing}${count.count === 1 ? "" : "s"}` : `${thing}s`;
  return (
    <div class="replay-start">
      <label class="field bulk-rate">
        <span>A second, at most</span>
        <input
          class="input"
          inputMode="numeric"
          value={rate}
          onInput={(event) => change({ rate: event.currentTarget.value.trim() })}
        />
      </label>
      <p class="bulk-count" role="status">
        <strong>{told ?? "–"}</strong>
        <span class="soft">
          {wanted.fn === ""
            ? "choose a function first"
            : count?.more
              ? `${thing}s or more match`
              : count?.count === 1
                ? `${thing} matches now`
                : `${thing}s match now`}
        </span>
      </p>
      <button
        type="button"
        class="button main"
        disabled={!mayOperate() || busy || !count || count.count === 0}
        onClick={start}
      >
        <Icon name="again" size={14} />
        Replay {words}
      </button>
      <p class="wrong" role="alert">
        {wrong || refused || found.error?.message}
      </p>
    </div>
  );
}

/** Replays of before, the newest first. */
function Earlier(): JSX.Element | null {
  const found = useAnswer("bulks/ended", api.latestBulks, { everyMs: EVERY_MS });
  const ended = (found.data?.data ?? []).filter(
    (one) => one.action !== "cancel" && one.status !== "RUNNING",
  );
  if (ended.length === 0) return null;
  return (
    <section class="panel card">
      <h2>Before</h2>
      <ul class="replays">
        {ended.map((one) => (
          <li key={one.id}>
            <bdi class="replay-of">{one.filter.functionId?.[0] ?? "every function"}</bdi>
            <span>
              {one.done.toLocaleString("en")} of {one.total.toLocaleString("en")}
              {one.more ? "+" : ""} {one.action === "replay" ? "events" : "runs"}
              {one.status === "STOPPED" && ", stopped"}
            </span>
            <span class="soft">{windowOf(one)}</span>
            <span class="faint small">
              <Ago at={one.createdAt} /> · by {one.createdBy}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function windowOf({ filter }: Bulk): string {
  const until = filter.until ? `until ${exactly(filter.until, "minute")}` : "";
  return filter.from ? `from ${exactly(filter.from, "minute")} ${until}` : until;
}
