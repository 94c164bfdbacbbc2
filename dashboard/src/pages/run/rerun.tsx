/** Running again from a step, with what it is given edited if the reader likes. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { type Json, parseExact, printExact } from "../../api/exact";
import type { Run, Span } from "../../api/model";
import * as api from "../../api/resources";
import { Dialog } from "../../parts/dialog";
import { tell } from "../../parts/toast";
import { toRun } from "../../place";

interface Props {
  readonly run: Run;
  readonly span: Span;
  readonly onClose: () => void;
}

export function RerunFromStep({ run, span, onClose }: Props): JSX.Element {
  const { route } = useLocation();
  const takesInput = Array.isArray(span.input) && span.input.length > 0;
  const before = takesInput ? printExact(span.input as Json) : "";
  const [input, setInput] = useState(before);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const start = async () => {
    const edited = input === before ? undefined : checked(input);
    if (edited instanceof Error) return setWrong(edited.message);
    setBusy(true);
    try {
      const id = await api.rerun(run.id, span.stepId, edited);
      onClose();
      route(toRun(id));
      tell(`A new run has begun from ${span.name}`);
    } catch (error) {
      setWrong((error as Error).message);
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
          <button type="button" class="button main" disabled={busy} onClick={start}>
            Run again
          </button>
        </>
      }
    >
      <p class="soft">
        A new run takes over what the steps before this one gave. This step and all after it are
        done again.
      </p>
      {takesInput && (
        <label class="field">
          <span>Arguments of the step, as a JSON list</span>
          <textarea
            class="area"
            spellcheck={false}
            value={input}
            onInput={(event) => setInput(event.currentTarget.value)}
          />
        </label>
      )}
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}
        </p>
      )}
    </Dialog>
  );
}

function checked(input: string): string | Error {
  try {
    if (Array.isArray(parseExact(input))) return input;
    return new Error('The arguments are a JSON list, such as [1, "two"]');
  } catch (error) {
    return new Error(`This is not JSON: ${(error as Error).message}`);
  }
}
