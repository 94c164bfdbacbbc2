/** Events that the reader keeps under a name, to send them again. */

import { keptAs } from "../../kept";

export interface Sample {
  readonly name: string;
  /** The event, as JSON text. */
  readonly text: string;
}

const SAMPLES_MAX = 30;
/** A longer one fills the browser's storage. */
export const SAMPLE_CHARS_MAX = 50_000;

export const samples = keptAs<Sample>(
  "stepwell.samples",
  SAMPLES_MAX,
  (sample) => typeof sample.text === "string",
);
