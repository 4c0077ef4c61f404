// Generates everything again and fails if that changes any file: what is committed is what the generator writes.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root, spawn } from "./tools.mjs";

const passedOver = new Set(["node_modules", "dist", "coverage", ".git", ".tmp"]);

/** Hashes of all files of the workspace: compared with themselves, so that a tree with changes can be checked too. */
function snapshot(folder = root, hashes = new Map()) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !passedOver.has(entry.name)) snapshot(path, hashes);
    else if (entry.isFile())
      hashes.set(relative(root, path), createHash("sha1").update(readFileSync(path)).digest("hex"));
  }
  return hashes;
}

const before = snapshot();
const { status } = spawn(process.execPath, ["scripts/generate.mjs"]);
if (status !== 0) process.exit(status);
const after = snapshot();

const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
  (path) => before.get(path) !== after.get(path),
);
for (const path of changed) console.error(`not what the generator writes: ${path}`);
if (changed.length > 0) {
  console.error("Run `npm run generate` and commit what it changes.");
  process.exit(1);
}
