import { defineConfig } from "astro/config";

// In development the endpoint is answered by Python, in production by what routes to both.
// The host stays the one that was asked for, so that the app registers under this server's address.
const python = { target: process.env.PYTHON_ORIGIN, changeOrigin: false };

export default defineConfig({
  devToolbar: { enabled: false },
  vite: { server: { proxy: { "/api/inngest": python } } },
});
