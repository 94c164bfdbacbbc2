import { serve } from "inngest/next";
import { made } from "../../../functions.mjs";

export default serve({ ...made("next-pages-router"), servePath: "/api/pages-inngest" });
