/** The banner while the server is away; it asks until the server is back. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { ask, reachable } from "../api/http";
import { Icon } from "../parts/icon";
import { refresh } from "./answer";

const EVERY_MS = 1500;

export function Reconnect(): JSX.Element {
  useEffect(() => {
    const timer = setInterval(async () => {
      try {
        await ask("api/v2/health");
      } catch {
        // Refused counts as an answer; `reachable` says so.
      }
      if (reachable.value) refresh();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="banner" role="status">
      <Icon name="warning" />
      The server does not answer. What you see may be old; it is asked again by itself.
    </div>
  );
}
