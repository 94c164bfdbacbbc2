/** One action for all runs of the filter: first counted, then done at a pace, and stopped by hand. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Bulk, BulkAction } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { refresh, useAnswer } from "../../live/answer";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { now } from "../../parts/time";
import { tell } from "../../parts/toast";
import { type Filter, fromOf, searchOf } from "./filter";

const EVERY_MS = 1000;
const QUIET_MS = 10_000;
const RATE = 50;
const RATE_MAX = 2000;
const SHOWN_AFTER_MS = 30_000;
const COUNT = new Intl.NumberFormat("en");

const ACTIONS: Record<BulkAction, { name: string; does: string; doing: string; done: string }> = {
  cancel: {
    name: "Cancel",
    does: "Each run that has not ended is cancelled; steps under way are not kept.",
    doing: "Cancelling",
    done: "Cancelled",
  },
  rerun: {
    name: "Run again",
    does: "Each run is started anew with its events, by the function as it is now.",
    doing: "Running again",
    done: "Ran again",
  },
};

/** What functions skipped is replayed from elsewhere, and its progress told here. */
const WORDS = {
  ...ACTIONS,
  replay: { name: "Replay", does: "", doing: "Replaying", done: "Replayed" },
};

const AFTER = { queuedAt: "are queued", startedAt: "start", endedAt: "end" };

/** What the API takes for the filter of the page. */
function asked(filter: Filter): api.BulkFilter {
  const from = fromOf(filter, now.value);
  return {
    ...(filter.statuses.length > 0 ? { status: filter.statuses } : {}),
    ...(filter.app ? { appId: [filter.app] } : {}),
    ...(filter.fn ? { functionId: [filter.fn] } : {}),
    ...(from ? { from } : {}),
    ...(filter.until ? { until: filter.until } : {}),
    ...(filter.time === "queuedAt" ? {} : { timeField: filter.time }),
    ...(filter.query ? { query: filter.query } : {}),
    ...(filter.sessions.length > 0 ? { session: filter.sessions } : {}),
  };
}

export function BulkButton({ filter }: { filter: Filter }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        class="button"
        disabled={!mayOperate()}
        title="Cancel these runs, or run them again"
        onClick={() => setOpen(true)}
      >
        <Icon name="many" size={14} />
        Act on all
      </button>
      {open && <BulkDialog filter={filter} onClose={() => setOpen(false)} />}
    </>
  );
}

function BulkDialog({ filter, onClose }: { filter: Filter; onClose: () => void }): JSX.Element {
  const [action, setAction] = useState<BulkAction>("cancel");
  const [rate, setRate] = useState(String(RATE));
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const [wanted] = useState(() => asked(filter));
  const counted = useAnswer(`bulk/count${searchOf(filter)}`, (signal) =>
    api.countBulk(wanted, signal),
  );
  const count = counted.data?.data;
  const pace = Number(rate);
  const wrong =
    Number.isInteger(pace) && pace >= 1 && pace <= RATE_MAX
      ? ""
      : `The pace is a number from 1 to ${COUNT.format(RATE_MAX)}`;
  const start = async () => {
    setBusy(true);
    try {
      await api.startBulk(action, wanted, pace);
      onClose();
      refresh();
      tell(`${ACTIONS[action].doing} has begun`);
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  const told = count && `${COUNT.format(count.count)}${count.more ? "+" : ""}`;
  return (
    <Dialog
      title="Act on all runs of this filter"
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Keep them
          </button>
          <button
            type="button"
            class={action === "cancel" ? "button danger" : "button main"}
            disabled={busy || wrong !== "" || !count || count.count === 0}
            onClick={start}
          >
            {ACTIONS[action].name} {told ? `${told} ${count?.count === 1 ? "run" : "runs"}` : ""}
          </button>
        </>
      }
    >
      <p class="bulk-count">
        <strong>{told ?? "…"}</strong>
        <span class="soft">
          {count?.more
            ? "runs or more match; so many were counted in two seconds"
            : count?.count === 1
              ? "run matches now"
              : "runs match now"}
        </span>
      </p>
      <fieldset class="choices">
        <legend class="unseen">What to do</legend>
        {(Object.keys(ACTIONS) as BulkAction[]).map((one) => (
          <label class="choice" key={one}>
            <input
              type="radio"
              name="action"
              checked={action === one}
              onChange={() => setAction(one)}
            />
            <span>
              <strong>{ACTIONS[one].name}</strong>
              <span class="soft small">{ACTIONS[one].does}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <label class="field bulk-rate">
        <span>Runs a second, at most</span>
        <input
          class="input"
          inputMode="numeric"
          value={rate}
          onInput={(event) => setRate(event.currentTarget.value.trim())}
        />
      </label>
      <p class="wrong" role="alert">
        {wrong || refused || counted.error?.message}
      </p>
      <p class="soft small">
        Runs that {AFTER[filter.time]} later are left alone. It can be stopped at any time; what was
        done stays done.
      </p>
    </Dialog>
  );
}

/** What goes on, and what has just ended. */
export function Bulks(): JSX.Element {
  const [goes, setGoes] = useState(false);
  const found = useAnswer("bulks", api.bulks, { everyMs: goes ? EVERY_MS : QUIET_MS, idly: true });
  const going = found.data?.data.some((bulk) => bulk.status === "RUNNING") === true;
  useEffect(() => setGoes(going), [going]);
  const shown = found.data?.data.filter(
    (bulk) => !bulk.endedAt || now.value - Date.parse(bulk.endedAt) < SHOWN_AFTER_MS,
  );
  return (
    <>
      {shown?.map((bulk) => (
        <Progress key={bulk.id} bulk={bulk} />
      ))}
    </>
  );
}

function Progress({ bulk }: { bulk: Bulk }): JSX.Element {
  const words = WORDS[bulk.action] ?? ACTIONS.cancel;
  const looked = bulk.done + bulk.refused;
  const share = bulk.endedAt ? 1 : bulk.total > 0 ? Math.min(looked / bulk.total, 1) : 0;
  const stop = async () => {
    try {
      await api.stopBulk(bulk.id);
      refresh();
    } catch (error) {
      tell((error as Error).message);
    }
  };
  return (
    <section class="bulk card" aria-label={`${words.doing} many runs`}>
      <div class="bulk-words">
        <strong>
          {bulk.status === "RUNNING"
            ? words.doing
            : bulk.status === "STOPPED"
              ? "Stopped"
              : words.done}
        </strong>
        <span>
          {COUNT.format(bulk.done)} of {COUNT.format(bulk.total)}
          {bulk.more ? "+" : ""} runs
        </span>
        {bulk.refused > 0 && (
          <span class="soft">{COUNT.format(bulk.refused)} left alone: ended, or not served</span>
        )}
        <span class="faint small">
          {bulk.rate} a second at most · by {bulk.createdBy}
        </span>
      </div>
      <progress class="bulk-bar" max={1} value={share} aria-label="Done" />
      {bulk.status === "RUNNING" && (
        <button type="button" class="button" disabled={!mayOperate()} onClick={stop}>
          <Icon name="stop" size={14} />
          Stop
        </button>
      )}
    </section>
  );
}
