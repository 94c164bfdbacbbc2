/** What went wrong with a function, done again by the function as it is now: first counted, at a pace. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Fn } from "../../api/model";
import * as api from "../../api/resources";
import { SPANS } from "../../charts/series";
import { refresh, useAnswer } from "../../live/answer";
import { Dialog } from "../../parts/dialog";
import { now } from "../../parts/time";
import { tell } from "../../parts/toast";

interface What {
  readonly name: string;
  readonly does: string;
  readonly action: "rerun" | "replay";
  readonly filter: api.BulkFilter;
  readonly one: string;
  readonly many: string;
}

const WHATS: readonly What[] = [
  {
    name: "Runs that failed",
    does: "Each is started anew with its events.",
    action: "rerun",
    filter: { status: ["FAILED"] },
    one: "run",
    many: "runs",
  },
  {
    name: "Runs that failed or were cancelled",
    does: "Each is started anew with its events.",
    action: "rerun",
    filter: { status: ["FAILED", "CANCELLED"] },
    one: "run",
    many: "runs",
  },
  {
    name: "Events that were skipped",
    does: "Each starts its run after all: the function was paused, or a limit left the event out.",
    action: "replay",
    filter: {},
    one: "event",
    many: "events",
  },
];

const RATE = 50;
const RATE_MAX = 2000;

export function Replay({ fn, onClose }: { fn: Fn; onClose: () => void }): JSX.Element {
  const [place, setPlace] = useState(0);
  const [span, setSpan] = useState(SPANS[1]?.name ?? "");
  const [rate, setRate] = useState(String(RATE));
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const [opened] = useState(() => now.peek());
  const what = WHATS[place] as What;
  const ms = SPANS.find((one) => one.name === span)?.ms ?? 0;
  const filter: api.BulkFilter = {
    ...what.filter,
    appId: [fn.app.name],
    functionId: [fn.slug],
    from: new Date(opened - ms).toISOString(),
  };
  const counted = useAnswer(`replay/${fn.slug}/${place}/${span}`, (signal) =>
    api.countBulk(filter, signal, what.action),
  );
  const count = counted.data?.data;
  const pace = Number(rate);
  const wrong =
    Number.isInteger(pace) && pace >= 1 && pace <= RATE_MAX
      ? ""
      : `The pace is a number from 1 to ${RATE_MAX.toLocaleString("en")}`;
  const told = count
    ? `${count.count.toLocaleString()}${count.more ? "+" : ""} ${count.count === 1 ? what.one : what.many}`
    : "…";
  const start = async () => {
    setBusy(true);
    try {
      await api.startBulk(what.action, filter, pace);
      onClose();
      refresh();
      tell("Replaying has begun");
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Replay ${fn.name}`}
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Close
          </button>
          <button
            type="button"
            class="button main"
            disabled={busy || wrong !== "" || !count || count.count === 0}
            onClick={start}
          >
            Replay {told}
          </button>
        </>
      }
    >
      <fieldset class="choices">
        <legend class="unseen">What is done again</legend>
        {WHATS.map((one, at) => (
          <label class="choice" key={one.name}>
            <input type="radio" name="what" checked={at === place} onChange={() => setPlace(at)} />
            <span>
              <strong>{one.name}</strong>
              <span class="soft small">{one.does}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <div class="limit-fields">
        <label class="field">
          <span>Since</span>
          <select
            class="select"
            value={span}
            onChange={(event) => setSpan(event.currentTarget.value)}
          >
            {SPANS.map((one) => (
              <option key={one.name} value={one.name}>
                {one.word}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>A second, at most</span>
          <input
            class="input"
            inputMode="numeric"
            value={rate}
            onInput={(event) => setRate(event.currentTarget.value.trim())}
          />
        </label>
      </div>
      <p class="wrong" role="alert">
        {wrong || refused || counted.error?.message}
      </p>
      <p class="soft small">
        The function is called as it is now, version {fn.version ?? "unknown"}. It can be stopped at
        any time; what was done stays done.
      </p>
    </Dialog>
  );
}
