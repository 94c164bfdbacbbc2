// One app with one function of two steps, for whichever framework serves it.
import { Inngest } from "inngest";

export const made = (id) => {
  const client = new Inngest({ id });
  const twoSteps = client.createFunction(
    { id: "two-steps", retries: 0, triggers: [{ event: `${id}/go` }] },
    async ({ event, step }) => {
      const first = await step.run("first", () => event.data.n + 1);
      return { second: await step.run("second", () => first * 10) };
    },
  );
  return { client, functions: [twoSteps] };
};
