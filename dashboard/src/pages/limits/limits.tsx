/** Limits with a name: what holds, who uses them, what waits, and other numbers by hand. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Limit, LimitKey } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { refresh, useAnswer } from "../../live/answer";
import { LiveToggle } from "../../live/toggle";
import { Confirm } from "../../parts/dialog";
import { Empty, Wrong } from "../../parts/empty";
import { Ago } from "../../parts/time";
import { tell } from "../../parts/toast";
import { EditLimit } from "./edit";
import { fullness, told } from "./numbers";
import "./limits.css";

const EVERY_MS = 2000;
const KEYS_AT_ONCE = 8;
const COUNT = new Intl.NumberFormat("en");

export function LimitsPage(): JSX.Element {
  const found = useAnswer("limits", api.limits, { everyMs: EVERY_MS });
  const [asking, ask] = useState<{ what: "edit" | "reset"; limit: Limit }>();
  const close = () => ask(undefined);
  return (
    <>
      <div class="bar">
        <h1>Limits</h1>
        <span class="push" />
        <LiveToggle />
      </div>
      <div class="content">
        {found.error && <Wrong error={found.error} again={found.again} />}
        {found.data?.length === 0 && <NoLimits />}
        {found.data?.map((limit) => (
          <LimitCard
            key={limit.name}
            limit={limit}
            onEdit={() => ask({ what: "edit", limit })}
            onReset={() => ask({ what: "reset", limit })}
          />
        ))}
      </div>
      {asking?.what === "edit" && <EditLimit limit={asking.limit} onClose={close} />}
      {asking?.what === "reset" && <Reset limit={asking.limit} onClose={close} />}
    </>
  );
}

interface CardProps {
  readonly limit: Limit;
  readonly onEdit: () => void;
  readonly onReset: () => void;
}

function LimitCard({ limit, onEdit, onReset }: CardProps): JSX.Element {
  const [whole, setWhole] = useState(false);
  const keys = limit.keys ?? [];
  const seen = whole ? keys : keys.slice(0, KEYS_AT_ONCE);
  return (
    <section class="limit card" aria-label={limit.name}>
      <header>
        <div>
          <h2>
            <bdi>{limit.name}</bdi>
          </h2>
          <p>
            <strong>{told(limit)}</strong>
            {limit.declared && <span class="soft"> · the code says {told(limit.declared)}</span>}
          </p>
        </div>
        <div class="limit-actions">
          {limit.isChanged && (
            <button type="button" class="button" disabled={!mayOperate()} onClick={onReset}>
              Reset
            </button>
          )}
          <button type="button" class="button" disabled={!mayOperate()} onClick={onEdit}>
            Change
          </button>
        </div>
      </header>
      <dl class="trio">
        <div>
          <dt>In use</dt>
          <dd>{COUNT.format(limit.inUse ?? 0)}</dd>
        </div>
        <div>
          <dt>Waiting</dt>
          <dd class={limit.waiting ? "held-up" : ""}>{COUNT.format(limit.waiting ?? 0)}</dd>
        </div>
        <div>
          <dt>Named by</dt>
          <dd>
            <bdi>{limit.functions?.join(", ") || "steps alone"}</bdi>
          </dd>
        </div>
      </dl>
      {keys.length > 0 && (
        <div class="limit-keys">
          {seen.map((key) => (
            <KeyRow key={key.key ?? ""} limit={limit} entry={key} />
          ))}
          {keys.length > seen.length && (
            <button type="button" class="button plain" onClick={() => setWhole(true)}>
              {keys.length - seen.length} more
            </button>
          )}
        </div>
      )}
    </section>
  );
}

function KeyRow({ limit, entry }: { limit: Limit; entry: LimitKey }): JSX.Element {
  const inUse = entry.inUse ?? 0;
  const full = fullness(limit, inUse, entry.available);
  return (
    <div class="limit-key">
      <bdi class={entry.key ? "mono" : "soft"}>{entry.key ?? "all together"}</bdi>
      <span class="limit-bar" aria-hidden="true">
        <span class={full >= 1 ? "full" : ""} style={{ width: `${full * 100}%` }} />
      </span>
      <span class="limit-use soft">
        {limit.rate
          ? `${COUNT.format(entry.available ?? limit.rate)} left`
          : `${COUNT.format(inUse)} in use`}
        {entry.waiting ? `, ${COUNT.format(entry.waiting)} waiting` : ""}
        {entry.coolsUntil && (
          <span class="limit-cool">
            {" "}
            · begins again <Ago at={entry.coolsUntil} ahead />
          </span>
        )}
      </span>
    </div>
  );
}

function Reset({ limit, onClose }: { limit: Limit; onClose: () => void }): JSX.Element {
  const reset = async () => {
    await api.resetLimit(limit.name);
    tell("What the code says holds again");
    refresh();
  };
  return (
    <Confirm
      title={`Reset ${limit.name}?`}
      text={`What the code says holds again: ${told(limit.declared ?? {})}. What is under way goes on.`}
      action="Reset"
      onClose={onClose}
      onConfirm={reset}
    />
  );
}

function NoLimits(): JSX.Element {
  return (
    <Empty icon="limits" title="No limits with a name">
      <p>A limit with a name is shared by functions and steps, and changed here while they run:</p>
      <pre>
        <code>{'openai = stepwell.limit("openai-tokens", rate=90_000, period="1m")'}</code>
      </pre>
    </Empty>
  );
}
