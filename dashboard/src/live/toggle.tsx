/** Whether the page follows what happens, or holds still. */

import type { JSX } from "preact";
import { Icon } from "../parts/icon";
import { refresh } from "./answer";
import { live } from "./live";

export function LiveToggle(): JSX.Element {
  const toggle = () => {
    live.value = !live.value;
    if (live.value) refresh();
  };
  return (
    <button
      type="button"
      class="button"
      aria-pressed={live.value}
      title={live.value ? "Hold the page still" : "Follow what happens"}
      onClick={toggle}
    >
      <Icon name={live.value ? "pause" : "play"} size={14} />
      {live.value ? "Live" : "Held"}
    </button>
  );
}
