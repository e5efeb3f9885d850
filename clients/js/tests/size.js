/** Fail if the client, minified and gzipped, has 3,500 bytes or more. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { minify } from "terser";

const LIMIT = 3_500;

const source = readFileSync(new URL("../itemsapi-auth.js", import.meta.url), "utf8");
const { code } = await minify(source, { module: true, compress: { passes: 2, ecma: 2020 } });
const [whole, small] = [source, code].map((text) => gzipSync(text, { level: 9 }).length);
console.log(`gzipped: ${small} bytes minified (limit ${LIMIT}), ${whole} unminified`);
process.exitCode = small < LIMIT ? 0 : 1;
