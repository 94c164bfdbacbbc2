/** Parts of the page that are loaded when they are wanted, or when the browser has time. */

import type { FunctionComponent, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Empty } from "./parts/empty";

/** So long after the first paint the rest is fetched even where the browser is never idle. */
const PATIENCE_MS = 3000;

const wanted: (() => Promise<unknown>)[] = [];

/** A component that is loaded by `load`, once. Until then it is empty; where that fails it says so. */
export function later<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
): FunctionComponent<Props> {
  let found: FunctionComponent<Props> | undefined;
  const once = async () => {
    found ??= await load();
  };
  wanted.push(once);
  return function Later(props: Props): JSX.Element | null {
    const [state, setState] = useState<"waits" | "there" | "failed">(found ? "there" : "waits");
    useEffect(() => {
      // Also where it has come since the first render: that one was empty.
      once().then(
        () => setState("there"),
        () => setState("failed"),
      );
    }, []);
    const Found = found;
    if (Found) return <Found {...props} />;
    return state === "failed" ? <NotLoaded /> : null;
  };
}

/** Loads everything that may be wanted, one after the other, once the browser has nothing to do. */
export function loadTheRest(): void {
  const next = () => {
    const one = wanted.shift();
    if (one) void one().then(whenIdle, whenIdle);
  };
  const whenIdle = () => {
    if (typeof requestIdleCallback === "function")
      requestIdleCallback(next, { timeout: PATIENCE_MS });
    else setTimeout(next, PATIENCE_MS);
  };
  whenIdle();
}

function NotLoaded(): JSX.Element {
  return (
    <Empty icon="warning" title="This part could not be loaded" whole>
      <p>The server is away, or is another version since the page was opened.</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Load the page again
      </button>
    </Empty>
  );
}
