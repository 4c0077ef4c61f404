// Prints how much code there is to read. Simplicity stays a number that somebody raises on purpose.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./tools.mjs";

const rooms = ["packages/core", "packages/zeromq", "packages/zerobind", "codegen", "examples", "benchmarks", "faults"];

function files(folder) {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !/[/\\](gen|golden|dist|node_modules)[/\\]/.test(path))
      .map((path) => ({ path: relative(root, path), lines: readFileSync(path, "utf8").split("\n").length - 1 }))
      .sort((a, b) => a.lines - b.lines);
  } catch {
    return [];
  }
}

const sum = (list) => list.reduce((total, { lines }) => total + lines, 0);

function budget(room) {
  const source = files(`${room}/src`);
  const longest = source.at(-1);
  return {
    files: source.length,
    lines: sum(source),
    median: source[Math.floor(source.length / 2)]?.lines ?? 0,
    longest: longest ? `${longest.lines} ${relative(room, longest.path)}` : "",
    tests: sum(files(`${room}/test`)),
  };
}

export function printLineBudget() {
  console.table(Object.fromEntries(rooms.map((room) => [room, budget(room)])));
  return true;
}
