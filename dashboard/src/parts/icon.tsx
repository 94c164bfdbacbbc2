/** Icons as strokes on a grid of 24. They take the colour of the text beside them. */

import type { JSX } from "preact";

const SHAPES = {
  overview: "M4 20V11M9.5 20V4M15 20v-6M20.5 20V8",
  runs: "M4 6h16M4 12h10M4 18h13",
  events: "M13 3 5 14h6l-1 7 9-12h-6z",
  functions:
    "M8 4H6.5A2.5 2.5 0 0 0 4 6.5V9a3 3 0 0 1-2 3 3 3 0 0 1 2 3v2.500A2.5 2.5 0 0 0 6.5 20H8M16 4h1.500A2.5 2.5 0 0 1 20 6.5V9a3 3 0 0 0 2 3 3 3 0 0 0-2 3v2.500A2.5 2.5 0 0 1 17.5 20H16",
  apps: "M12 3 3.5 7.5 12 12l8.5-4.500zM3.5 12 12 16.5l8.5-4.500M3.5 16.5 12 21l8.5-4.5",
  send: "M21 3 10 14M21 3l-7 18-4-7-7-4z",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM5 15H4V4h11v1",
  check: "M5 12.5 10 17.5 19 7",
  cross: "M7 7l10 10M17 7 7 17",
  clock: "M12 7v5l3.5 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  stop: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.7 5.700l12.6 12.6",
  again: "M4 5v5h5M4.6 15a8 8 0 1 0 1.2-8.200L4 10",
  play: "M7 4.500v15l12-7.500z",
  pause: "M8 5v14M16 5v14",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M4.9 4.900l1.4 1.400M17.7 17.700l1.4 1.400M4.9 19.100l1.4-1.400M17.7 6.300l1.4-1.4",
  moon: "M20 14.500A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.500z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  filter: "M4 5h16l-6 8v6l-4-2v-4z",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5",
  chevron: "M9 5l7 7-7 7",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17v.5",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.500v.5",
  step: "M5 5h14v14H5z",
  sleep: "M5 4h8l-8 9h8M15 13h5l-5 7h5",
  wait: "M7 3h10M7 21h10M8 3c0 5 8 6 8 9s-8 4-8 9M16 3c0 5-8 6-8 9s8 4 8 9",
  invoke: "M4 12h13M12 6l6 6-6 6",
  signal: "M5 12a7 7 0 0 1 14 0M8 12a4 4 0 0 1 8 0M12 12v8",
  ai: "M12 3l1.8 5.700L19.5 10.500l-5.7 1.800L12 18l-1.8-5.700L4.5 10.500l5.7-1.800zM19 16v4M17 18h4",
  fetch:
    "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3.5 6 3.5 9s-.5 6-3.5 9c-3-3-3.5-6-3.5-9S9 6 12 3z",
  attempt: "M4 12h16",
  leave: "M14 4H5v16h9M10 12h10M16 8l4 4-4 4",
  many: "M8 6h12M8 12h12M8 18h12M3.5 6h.5M3.5 12h.5M3.5 18h.5",
  limits: "M4 15a8 8 0 0 1 16 0M12 15l4-5M4 19h16",
  logs: "M6 3h8l5 5v13H6zM9.500 12.500h6M9.500 16.500h6",
  keys: "M4 6h16v12H4zM8 10h.5M12 10h.5M16 10h.5M8 14h8",
  columns: "M4 4h16v16H4zM10 4v16M15 4v16",
  star: "M6 3h12v18l-6-4.5L6 21z",
  cron: "M8 3v4M16 3v4M4 6h16v14H4zM4 10h16",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={SHAPES[name]} />
    </svg>
  );
}

/** The mark: the steps that lead down to the water. */
export function Mark({ size = 22 }: { size?: number }): JSX.Element {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" aria-hidden="true">
      <path
        d="M3 5h18M6 10h12M9 15h6M11.5 20h1"
        stroke="currentColor"
        stroke-width="2.6"
        stroke-linecap="round"
      />
    </svg>
  );
}
