// The styles of all come before those of a page, which may differ from them.
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";
import { render } from "preact";
import { Dashboard } from "./dashboard";
import { startClock } from "./parts/time";

startClock();
const root = document.getElementById("app");
if (root) render(<Dashboard />, root);
