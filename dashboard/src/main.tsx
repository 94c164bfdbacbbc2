import { render } from "preact";
import { Dashboard } from "./dashboard";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";

const root = document.getElementById("app");
if (root) render(<Dashboard />, root);
