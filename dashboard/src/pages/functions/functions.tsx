/** Every function that apps have registered. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Fn } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { toFunction } from "../../place";
import { limitsTold } from "./settings";
import "./functions.css";

const EVERY_MS = 5000;

export function FunctionsPage(): JSX.Element {
  const [text, setText] = useState("");
  const found = useAnswer("functions", api.functions, { everyMs: EVERY_MS });
  const shown = found.data?.filter((one) => matches(one, text.toLowerCase()));
  return (
    <>
      <div class="bar">
        <h1>Functions</h1>
      </div>
      <div class="content">
        <input
          class="input function-search"
          type="search"
          placeholder="Name or trigger"
          aria-label="Name or trigger"
          data-search
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {found.error && <Wrong error={found.error} again={found.again} />}
        {shown && <FunctionList functions={shown} searched={text !== ""} />}
      </div>
    </>
  );
}

function matches(fn: Fn, text: string): boolean {
  return [fn.name, fn.slug, ...fn.triggers.map((one) => one.value)].some((one) =>
    one.toLowerCase().includes(text),
  );
}

function FunctionList({
  functions,
  searched,
}: {
  functions: readonly Fn[];
  searched: boolean;
}): JSX.Element {
  if (functions.length === 0) return <NoFunctions searched={searched} />;
  return (
    <div class="rows card functions">
      <div class="row-head" aria-hidden="true">
        <span>Function</span>
        <span>Trigger</span>
        <span class="wide">Limits</span>
        <span class="wide">App</span>
      </div>
      {functions.map((fn) => (
        <a class="row" key={fn.slug} href={toFunction(fn.app.name, fn.slug)}>
          <span class="strong">
            <bdi>{fn.name}</bdi>
            {fn.isPaused && <span class="chip paused">paused</span>}
          </span>
          <span class="triggers">
            {fn.triggers.map((one) => (
              <span class="chip" key={one.value}>
                <Icon name={one.type === "CRON" ? "cron" : "events"} size={12} />
                <bdi>{one.value}</bdi>
              </span>
            ))}
          </span>
          <span class="wide soft">{limitsTold(fn.configuration) || "–"}</span>
          <bdi class="wide soft">{fn.app.name}</bdi>
        </a>
      ))}
    </div>
  );
}

function NoFunctions({ searched }: { searched: boolean }): JSX.Element {
  if (searched) return <Empty icon="search" title="No function matches" />;
  return (
    <Empty icon="functions" title="No functions yet">
      <p>
        Functions appear when an app registers. Start one beside the server, or tell it where yours
        answers:
      </p>
      <pre>
        <code>
          {"stepwell dev my_app.functions\nstepwell dev -u http://localhost:8000/api/inngest"}
        </code>
      </pre>
    </Empty>
  );
}
