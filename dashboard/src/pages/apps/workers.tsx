/** The processes that connected, and how much of each is in use. */

import type { JSX } from "preact";
import type { Worker } from "../../api/model";
import { Ago } from "../../parts/time";

const WORDS: Record<Worker["status"], { word: string; tone: string }> = {
  CONNECTED: { word: "Connecting", tone: "queued" },
  READY: { word: "Ready", tone: "completed" },
  DRAINING: { word: "Draining", tone: "waiting" },
};

export function Workers({ workers }: { workers: readonly Worker[] }): JSX.Element {
  return (
    <div class="rows card workers">
      <div class="row-head" aria-hidden="true">
        <span>Worker</span>
        <span>Status</span>
        <span>In use</span>
        <span class="wide">Apps</span>
        <span class="wide">SDK</span>
        <span class="number">Heard of</span>
      </div>
      {workers.map((worker) => (
        <WorkerRow key={worker.id} worker={worker} />
      ))}
    </div>
  );
}

function WorkerRow({ worker }: { worker: Worker }): JSX.Element {
  const { word, tone } = WORDS[worker.status] ?? { word: worker.status, tone: "queued" };
  const share = worker.capacity > 0 ? worker.inUse / worker.capacity : 0;
  return (
    <div class="row">
      <bdi class="strong">{worker.instanceId}</bdi>
      <span class={`status tone-${tone}`}>{word}</span>
      <span class="use">
        {worker.inUse} of {worker.capacity}
        <span class="use-bar" aria-hidden="true">
          <span style={{ width: `${Math.min(share, 1) * 100}%` }} />
        </span>
      </span>
      <span class="wide soft">
        <bdi>
          {worker.apps.map((app) => app.name + (app.version ? ` ${app.version}` : "")).join(", ")}
        </bdi>
      </span>
      <span class="wide soft">
        {[worker.sdkLanguage, worker.sdkVersion].filter(Boolean).join(" ") || "–"}
      </span>
      <span class="number soft">
        <Ago at={worker.lastHeartbeatAt} />
      </span>
    </div>
  );
}
