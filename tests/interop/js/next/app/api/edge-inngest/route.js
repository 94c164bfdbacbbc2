import { serve } from "inngest/next";
import { made } from "../../../../functions.mjs";

export const runtime = "edge";
export const { GET, POST, PUT } = serve(made("next-edge"));
