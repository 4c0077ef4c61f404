/** A doc block with the lines of a proto comment. Nothing in them can end the block. */
export function docBlock(comment: readonly string[], deprecated: boolean, indent = ""): string {
  const lines = comment.map((line) => line.replaceAll("*/", "*\\/"));
  if (deprecated && !lines.some((line) => /(^|\s)@deprecated\b/.test(line))) {
    if (lines.length > 0) lines.push("");
    lines.push("@deprecated");
  }
  const [only = ""] = lines;
  if (lines.length === 1 && indent.length + only.length + 7 <= 120) return `${indent}/** ${only} */`;
  return [`${indent}/**`, ...lines.map((line) => `${indent} *${line === "" ? "" : ` ${line}`}`), `${indent} */`].join(
    "\n",
  );
}
