import { render } from "preact";
import { Dashboard } from "./dashboard";
import { startClock } from "./parts/time";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";

startClock();
const root = document.getElementById("app");
if (root) render(<Dashboard />, root);
