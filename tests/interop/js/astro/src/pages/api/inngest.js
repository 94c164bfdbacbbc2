import { serve } from "inngest/astro";
import { made } from "../../../../functions.mjs";

export const prerender = false;
export const { GET, POST, PUT } = serve(made("astro-js"));
