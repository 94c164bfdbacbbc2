/** What can be done with a run: cancel it, run it again, and how to say so in a terminal. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { address } from "../../api/http";
import type { Run } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate, who } from "../../api/session";
import { refresh } from "../../live/answer";
import { commandOf, curlOf, eventOf, pythonOf } from "../../parts/as_code";
import { CopyMenu, type Way } from "../../parts/copy_menu";
import { Confirm } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { tell } from "../../parts/toast";
import { toRun } from "../../place";

export function RunActions({ run }: { run: Run }): JSX.Element {
  const { route } = useLocation();
  const [asking, ask] = useState<"cancel" | "rerun">();
  const close = () => ask(undefined);
  const cancel = async () => {
    await api.cancelRun(run.id);
    tell("The run is cancelled");
    refresh();
  };
  const again = async () => {
    const id = await api.rerun(run.id);
    route(toRun(id));
    tell("A new run has begun");
  };
  const ended = run.endedAt !== undefined;
  return (
    <>
      <CopyMenu label="Copy as code" ways={waysOf(run)} />
      <button type="button" class="button" disabled={!mayOperate()} onClick={() => ask("rerun")}>
        <Icon name="again" size={14} />
        Run again
      </button>
      {!ended && (
        <button
          type="button"
          class="button danger"
          data-cancel
          disabled={!mayOperate()}
          onClick={() => ask("cancel")}
        >
          <Icon name="stop" size={14} />
          Cancel
        </button>
      )}
      {asking === "cancel" && (
        <Confirm
          title="Cancel this run?"
          text="Steps that are done stay done. What is under way is given up, and nothing further starts."
          action="Cancel the run"
          danger
          onClose={close}
          onConfirm={cancel}
        />
      )}
      {asking === "rerun" && (
        <Confirm
          title="Run it again?"
          text="A new run starts from the first step, with the same event. All its steps are done again."
          action="Run again"
          onClose={close}
          onConfirm={again}
        />
      )}
    </>
  );
}

/** The run, running it again, and its event, as somebody would write them elsewhere. */
function waysOf(run: Run): readonly Way[] {
  const rerun = address(`api/v2/runs/${run.id}/rerun`);
  const shown: readonly Way[] = [
    { name: "Command that shows it", text: () => `stepwell run ${run.id}` },
    { name: "curl that runs it again", text: () => curlOf(rerun, {}, asksForKey()) },
  ];
  const first = run.trigger.eventIds?.[0];
  if (!first || run.trigger.cron) return shown;
  return [
    ...shown,
    { name: "Event as JSON", text: async () => eventOf(await api.event(first)) },
    { name: "Event as a command", text: async () => commandOf(await api.event(first)) },
    { name: "Event in Python", text: async () => pythonOf(await api.event(first)) },
  ];
}

const asksForKey = (): boolean => who.value?.byCookie === true;
