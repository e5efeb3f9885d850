/** Fail if the declarations in the package are not those of the source. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const name = "itemsapi-auth.d.ts";
const fresh = mkdtempSync(join(tmpdir(), "types-"));
try {
  execFileSync("npx", ["tsc", "-p", "tsconfig.types.json", "--outDir", fresh], { cwd: root });
  const same = readFileSync(join(fresh, name), "utf8") === readFileSync(join(root, name), "utf8");
  if (!same) console.error(`${name} is out of date: npm run types`);
  process.exitCode = same ? 0 : 1;
} finally {
  rmSync(fresh, { recursive: true });
}
