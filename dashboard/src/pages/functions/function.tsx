/** One function: what starts it, what bounds it, how its runs went. */

import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import type { Fn } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate } from "../../api/session";
import { refresh, useAnswer } from "../../live/answer";
import { Confirm, Dialog } from "../../parts/dialog";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { isObject, JsonField, wrongIn } from "../../parts/json_field";
import { tell } from "../../parts/toast";
import { to, toReplay, toRun } from "../../place";
import { Bulks } from "../runs/bulk";
import { EVERYTHING } from "../runs/filter";
import { useRuns } from "../runs/list";
import { RunList } from "../runs/run_list";
import { settingsTold } from "./settings";
import { UsageOf } from "./usage";
import { Versions } from "./versions";

const EVERY_MS = 2000;

export function FunctionPage(): JSX.Element {
  const { app = "", slug = "" } = useRoute().params;
  const found = useAnswer(`functions/${app}`, (signal) => api.functionsOf(app, signal), {
    everyMs: EVERY_MS,
  });
  const fn = found.data?.find((one) => one.slug === slug);
  if (found.data && !fn) return <NoSuchFunction slug={slug} />;
  if (!fn)
    return (
      <div class="content bar">
        {found.error && <Wrong error={found.error} again={found.again} />}
      </div>
    );
  return (
    <>
      <div class="bar">
        <div class="run-title">
          <a class="back" href={to("functions")}>
            Functions
          </a>
          <h1>
            <bdi>{fn.name}</bdi>
          </h1>
          {fn.isPaused && <span class="chip paused">paused</span>}
        </div>
        <span class="push" />
        <Actions fn={fn} />
      </div>
      <div class="content">
        {fn.description && (
          <p class="function-about">
            <bdi>{fn.description}</bdi>
          </p>
        )}
        {fn.warnings?.map((one) => (
          <div class="notice tone-waiting" key={one}>
            <Icon name="warning" />
            <p>
              <bdi>{one}</bdi>
            </p>
          </div>
        ))}
        <div class="function-parts">
          <UsageOf key={fn.slug} fn={fn} />
          <section class="panel card">
            <h2>Starts when</h2>
            <ul class="triggers">
              {fn.triggers.map((one) => (
                <li key={one.value}>
                  <span class="chip">
                    <Icon name={one.type === "CRON" ? "cron" : "events"} size={12} />
                    <bdi>{one.value}</bdi>
                  </span>
                  {one.if && <code class="soft"> if {one.if}</code>}
                </li>
              ))}
            </ul>
          </section>
          <section class="panel card">
            <h2>Settings</h2>
            <dl class="pairs">
              {settingsTold(fn.configuration).map((one) => (
                <Fragment key={one.name + one.words}>
                  <dt>{one.name}</dt>
                  <dd>
                    <bdi>{one.words}</bdi>
                  </dd>
                </Fragment>
              ))}
            </dl>
          </section>
          <Versions fn={fn} />
        </div>
        <Bulks />
        <h2>Runs</h2>
        <RunsOf fn={fn} />
      </div>
    </>
  );
}

function RunsOf({ fn }: { fn: Fn }): JSX.Element {
  const { runs, error, more, loadMore, again } = useRuns({
    ...EVERYTHING,
    app: fn.app.name,
    fn: fn.slug,
  });
  return (
    <>
      {error && <Wrong error={error} again={again} />}
      {runs && <RunList runs={runs} narrowed={false} />}
      {more && (
        <button type="button" class="button more" onClick={loadMore}>
          Show more
        </button>
      )}
    </>
  );
}

function Actions({ fn }: { fn: Fn }): JSX.Element {
  const [asking, ask] = useState<"invoke" | "pause">();
  const close = () => ask(undefined);
  const change = async () => {
    await (fn.isPaused ? api.resume(fn.app.name, fn.slug) : api.pause(fn.app.name, fn.slug));
    tell(fn.isPaused ? "The function goes on" : "The function is paused");
    refresh();
  };
  return (
    <>
      <a class="button" href={toReplay(fn.app.name, fn.slug)}>
        <Icon name="again" size={14} />
        Replay
      </a>
      <button type="button" class="button" disabled={!mayOperate()} onClick={() => ask("pause")}>
        <Icon name={fn.isPaused ? "play" : "pause"} size={14} />
        {fn.isPaused ? "Resume" : "Pause"}
      </button>
      <button
        type="button"
        class="button main"
        disabled={!mayOperate()}
        onClick={() => ask("invoke")}
      >
        <Icon name="play" size={14} />
        Invoke
      </button>
      {asking === "invoke" && <Invoke fn={fn} onClose={close} />}
      {asking === "pause" && (
        <Confirm
          title={fn.isPaused ? "Resume this function?" : "Pause this function?"}
          text={
            fn.isPaused
              ? "Its events start runs again, and runs that were held go on."
              : "Events no longer start runs of it; they are kept as skipped. Runs under way are held."
          }
          action={fn.isPaused ? "Resume" : "Pause"}
          onClose={close}
          onConfirm={change}
        />
      )}
    </>
  );
}

function Invoke({ fn, onClose }: { fn: Fn; onClose: () => void }): JSX.Element {
  const { route } = useLocation();
  const [data, setData] = useState("{}");
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const wrong = wrongData(data);
  const start = async () => {
    setBusy(true);
    try {
      const id = await api.invoke(fn.app.name, fn.slug, data);
      onClose();
      route(toRun(id));
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Invoke ${fn.name}`}
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Close
          </button>
          <button type="button" class="button main" disabled={busy || wrong !== ""} onClick={start}>
            Invoke
          </button>
        </>
      }
    >
      <JsonField
        label="Data of the event it is given, as JSON"
        value={data}
        wrong={wrong || refused}
        onValue={(written) => {
          setData(written);
          setRefused("");
        }}
      />
    </Dialog>
  );
}

const wrongData = (text: string): string =>
  wrongIn(text, (value) => (isObject(value) ? "" : "The data is an object, such as {}"));

function NoSuchFunction({ slug }: { slug: string }): JSX.Element {
  return (
    <Empty icon="search" title="No such function" whole>
      <p>
        No app has registered <code>{slug}</code>. <a href={to("functions")}>See all functions</a>.
      </p>
    </Empty>
  );
}
