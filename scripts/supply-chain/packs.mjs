// Packs the public packages as they would be published, and once more from sources that were copied elsewhere and built
// anew: what is in them depends on the sources, and on nothing that happens to be where they are built.
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from "node:fs";
import { join, sep } from "node:path";
import { npxEnv, pnpm, root, spawn } from "../tools.mjs";

function run(command, args, cwd) {
  const { status, stdout, stderr } = spawn(command, args, { cwd, stdio: "pipe", env: npxEnv() });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed in ${cwd}:\n${stdout}${stderr}`);
}

/** The tarballs of the packages in folders of a workspace, by folder. */
export function packAll(workspace, folders, out) {
  return Object.fromEntries(
    folders.map((folder) => {
      const into = join(out, folder.replaceAll("/", "-"));
      mkdirSync(into, { recursive: true });
      run("npx", pnpm("pack", "--pack-destination", into), join(workspace, folder));
      return [folder, readFileSync(join(into, readdirSync(into)[0]))];
    }),
  );
}

/** Copies what the packages are built from, and builds it there. */
export function buildCopy(copy, folders) {
  const isSource = (path) => !["node_modules", "dist", "test"].includes(path.split(sep).at(-1));
  for (const folder of [...folders, "scripts"])
    cpSync(join(root, folder), join(copy, folder), { recursive: true, filter: isSource });
  for (const file of readdirSync(root, { withFileTypes: true }))
    if (file.isFile()) cpSync(join(root, file.name), join(copy, file.name));
  for (const folder of folders)
    cpSync(join(root, folder, "node_modules"), join(copy, folder, "node_modules"), {
      recursive: true,
      verbatimSymlinks: true,
    });
  linkModules(copy);
  run(process.execPath, [join(copy, "node_modules/@typescript/native/bin/tsc"), "-b", ...folders], copy);
  run(process.execPath, ["scripts/bundle.mjs"], copy);
}

/** What is installed is the same, but for what is taken into a package: that has to be where its path says. */
function linkModules(copy) {
  const inlined = /^@bufbuild\+protobuf@/;
  const [modules, store] = [join(root, "node_modules"), join(root, "node_modules/.pnpm")];
  mkdirSync(join(copy, "node_modules/.pnpm"), { recursive: true });
  for (const name of readdirSync(modules))
    if (name !== ".pnpm") symlinkSync(join(modules, name), join(copy, "node_modules", name), "junction");
  for (const name of readdirSync(store)) {
    const [from, to] = [join(store, name), join(copy, "node_modules/.pnpm", name)];
    if (inlined.test(name)) cpSync(from, to, { recursive: true, verbatimSymlinks: true });
    else symlinkSync(from, to, "junction");
  }
}
