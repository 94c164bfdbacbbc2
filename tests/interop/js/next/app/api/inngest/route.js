import { serve } from "inngest/next";
import { made } from "../../../../functions.mjs";

export const { GET, POST, PUT } = serve(made("next-app-router"));
