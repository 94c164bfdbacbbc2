/** Running again from a step, with other arguments if the reader likes. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { printExact } from "../../api/exact";
import type { Run, Span } from "../../api/model";
import * as api from "../../api/resources";
import { Dialog } from "../../parts/dialog";
import { JsonField, wrongIn } from "../../parts/json_field";
import { tell } from "../../parts/toast";
import { toRun } from "../../place";

interface Props {
  readonly run: Run;
  readonly span: Span;
  readonly onClose: () => void;
}

export function RerunFromStep({ run, span, onClose }: Props): JSX.Element {
  const { route } = useLocation();
  const known = span.input === undefined ? "" : printExact(span.input);
  const [input, setInput] = useState(known);
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const wrong = input.trim() === "" ? "" : wrongArguments(input);
  const start = async () => {
    setBusy(true);
    try {
      const id = await api.rerun(
        run.id,
        span.stepId,
        input === known ? undefined : input.trim() || undefined,
      );
      onClose();
      route(toRun(id));
      tell(`A new run has begun from ${span.name}`);
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Run again from ${span.name}?`}
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
          <button type="button" class="button main" disabled={busy || wrong !== ""} onClick={start}>
            Run again
          </button>
        </>
      }
    >
      <p class="soft">
        A new run takes over what the steps before this one gave. This step and all after it are
        done again.
      </p>
      <JsonField
        label={
          known
            ? "Arguments of the step, as a JSON list"
            : "Other arguments for the step, as a JSON list; empty leaves them as they were"
        }
        value={input}
        wrong={wrong || refused}
        onValue={(written) => {
          setInput(written);
          setRefused("");
        }}
      />
    </Dialog>
  );
}

const wrongArguments = (text: string): string =>
  wrongIn(text, (value) =>
    Array.isArray(value) ? "" : 'The arguments are a JSON list, such as [1, "two"]',
  );
