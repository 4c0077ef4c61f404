/** How many files the process may have open; undefined where that cannot be told. */
export function maxOpenFiles(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const limits = process.getBuiltinModule("node:fs").readFileSync("/proc/self/limits", "utf8");
    const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    return Number.isNaN(soft) ? undefined : soft;
  } catch {
    return undefined;
  }
}
