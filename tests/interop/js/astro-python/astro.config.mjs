import { defineConfig } from "astro/config";

// In development the endpoint is answered by Python, in production by what routes to both.
export default defineConfig({
  devToolbar: { enabled: false },
  vite: { server: { proxy: { "/api/inngest": process.env.PYTHON_ORIGIN } } },
});
