import { renderToString } from "react-dom/server";
import { App } from "./app";

/** Fill the page of the build, `index.html`, on a server. */
export const render = (page: string) => page.replace("<!--app-->", renderToString(<App />));
