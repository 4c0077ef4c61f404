// All static checks, each run to its end so that one run shows everything. `npm run lint -- eslint knip` runs some of them.
import { check as checkImports } from "./check-imports.mjs";
import { printLineBudget } from "./line-budget.mjs";
import { spawn, tool } from "./tools.mjs";

const node = (path, ...args) => spawn(process.execPath, [path, ...args]).status === 0;

const checks = {
  prettier: () => node(tool.prettier, "--check", "--log-level=warn", "."),
  eslint: () => node(tool.eslint, "--max-warnings=0", "."),
  imports: checkImports,
  knip: () => node(tool.knip),
  lines: printLineBudget,
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks);
const failed = wanted.filter((name) => {
  console.log(`lint: ${name}`);
  return !checks[name]();
});
if (failed.length > 0) {
  console.error(`lint: failed: ${failed.join(", ")}`);
  process.exit(1);
}
