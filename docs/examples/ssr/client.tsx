import { hydrateRoot } from "react-dom/client";
import { App, auth } from "./app";

hydrateRoot(document.getElementById("root")!, <App />);
auth.restore().catch(() => {}); // in the browser only: the server has no cookie of the user
