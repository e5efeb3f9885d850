/** Minify the client into the files that the service serves. With --check, fail if they are not current. */
import { readFileSync, writeFileSync } from "node:fs";
import { minify } from "terser";

const file = (name) => new URL(name, import.meta.url);
const source = readFileSync(file("itemsapi-auth.js"), "utf8");
const { code, map } = await minify(
  { "itemsapi-auth.js": source },
  {
    module: true,
    compress: { passes: 2, ecma: 2020 },
    format: { preamble: "// itemsapi-auth, MIT licence. The readable source is in client.js.map." },
    sourceMap: { filename: "client.js", url: "client.js.map", includeSources: true },
  },
);
const built = { "itemsapi-auth.min.js": code, "itemsapi-auth.min.js.map": map };
for (const [name, text] of Object.entries(built)) {
  if (!process.argv.includes("--check")) writeFileSync(file(name), text);
  else if (readFileSync(file(name), "utf8") !== text) {
    console.error(`${name} is not current: npm run build`);
    process.exitCode = 1;
  }
}
