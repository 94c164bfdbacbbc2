// A worker of whichever JavaScript SDK `SDK` names (inngest3 or inngest4), for tests of what goes
// wrong around it. Each handler writes one line into the file `NOTES`, so that the tests know what
// was executed, also by processes that were killed. Run by the tests with: SDK, INNGEST_DEV, NOTES,
// INSTANCE.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const { SDK, NOTES, INSTANCE } = process.env;
const sdk = await import(SDK);
const { connect } = await import(`${SDK}/connect`);
const modern = SDK === "inngest4";

const note = (what) => appendFileSync(NOTES, `${what}\n`);
const client = new sdk.Inngest({ id: "app", ...(modern ? { checkpointing: false } : {}) });
const trigger = { event: "steps" };
const handler = async ({ event, step }) => {
  const work = (name) => async () => {
    note(`${name} begins`);
    await sleep(event.data.seconds * 1000);
    note(`${name} ends`);
    return name;
  };
  const one = await step.run("one", work("one"));
  const two = await step.run("two", work("two"));
  return [one, two];
};
const steps = modern
  ? client.createFunction({ id: "steps", retries: 0, triggers: [trigger] }, handler)
  : client.createFunction({ id: "steps", retries: 0 }, trigger, handler);

const connection = await connect({ apps: [{ client, functions: [steps] }], instanceId: INSTANCE });
await connection.closed;
process.exit(0);
