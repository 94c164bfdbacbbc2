// Run by the tests with: bun server.mjs; PORT, INNGEST_DEV (the server's origin).
import { serve } from "inngest/bun";
import { made } from "../functions.mjs";

const inngest = serve(made("bun-js"));

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch: (request) =>
    new URL(request.url).pathname === "/api/inngest"
      ? inngest(request)
      : new Response("Not found", { status: 404 }),
});
