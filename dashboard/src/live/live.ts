/** Whether the page follows what happens; off while the reader wants it to hold still. */

import { signal } from "@preact/signals";

export const live = signal(true);
